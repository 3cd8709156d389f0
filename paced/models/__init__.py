"""Who answers and who teaches: models and tokenizers, loaded safely."""
