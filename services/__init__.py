"""What runs outside our process, behind small interfaces: chat models."""
