"""What a person or a test uses: the pages and the control API."""
