"""What a coordinator serves. Thin: requests are checked and translated, decisions are made elsewhere."""
