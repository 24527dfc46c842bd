"""What is known of models: tables only. Compiled ones are JSON, those written by hand JSON or Python rows."""
