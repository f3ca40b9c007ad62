"""Tables, figures and the report page. Reads run folders; knows nothing of models."""
