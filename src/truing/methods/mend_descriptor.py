"""What MEND takes the gradient of: an answer to a prompt, or a text that tells the edit.

Mitchell et al. 2022 take the target's negative log-probability. An edit of personality (Mao et al. 2024,
arXiv 2310.02168, section 4) is described by a text that names topic and trait, all of which is read.
"""

from __future__ import annotations

from truing.errors import BadRequest
from truing.methods.context import tell
from truing.methods.kernels.lines import Line, answer_line
from truing.models.handle import Model
from truing.types import EditRequest


def descriptor(model: Model, request: EditRequest, wording: str | None) -> Line:
    """``request`` as a row whose labels are its target or, with a ``wording``, every token of what
    that makes of it but the first.

    Raises ``BadRequest`` for a tag that the wording names and the request does not have, and for a
    text of one token or of more than the model has positions; what ``answer_line`` raises.
    """
    if wording is None:
        return answer_line(model.speller, request)
    ids = tuple(model.speller.prompt_ids(tell(request, wording)))
    most = model.positions
    if len(ids) < 2 or (most is not None and len(ids) > most):
        raise BadRequest(
            f"request '{request.id}' in the editor's wording is {len(ids)} token(s); "
            f"'{model.name}' takes 2 to {most or 'any number'}",
            "Train the editor with another wording.",
        )
    return Line(ids[:-1], 0, tuple(range(len(ids) - 1)), ids[1:])
