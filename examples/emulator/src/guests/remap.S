# Maps a window elsewhere and overwrites the page it has left, after a fence on all harts.
.equ FENCES, 1
