"""From categories to domains to worlds with thousands of tools that run."""
