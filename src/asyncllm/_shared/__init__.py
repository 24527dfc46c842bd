"""What several processes have in common through a Redis or Valkey server: limits and health."""
