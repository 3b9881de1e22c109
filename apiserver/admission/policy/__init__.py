"""What both kinds of admission policy share: definitions and bindings, parameters, variables, evaluation."""
