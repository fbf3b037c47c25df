"""All components of the table, in its order."""

from benchmarks.distribution import callback_pieces, layer_pieces

PIECES = (*callback_pieces.PIECES, *layer_pieces.PIECES)
NUMBERS = {piece.name: i for i, piece in enumerate(PIECES)}
