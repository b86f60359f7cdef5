# The same without the fence: the guest's own mistake.
.equ FENCES, 0
