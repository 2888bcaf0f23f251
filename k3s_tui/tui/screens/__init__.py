"""One module per screen; its style is `styles/NAME.tcss`."""
