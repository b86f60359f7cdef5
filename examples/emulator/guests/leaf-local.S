# Large leaves, of which each hart fences one address for itself.
.equ REMOTE, 0
.include "leaf.inc.S"
