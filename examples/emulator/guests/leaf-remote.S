# Large leaves, of which hart 0 fences one address for all harts.
.equ REMOTE, 1
.include "leaf.inc.S"
