"""Questions on top of a screen: each a `Dialog` with a typed answer."""
