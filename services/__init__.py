"""What runs outside our process, behind small interfaces: chat models, and sandboxes for programs that nobody trusts."""
