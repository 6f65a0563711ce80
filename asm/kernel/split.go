package kernel

// Split cuts rows into nearly equal tiles: Tall tiles of Height rows, then
// Short ones of one row less.
type Split struct{ Height, Tall, Short int }

// SplitRows cuts rows into as few tiles of at most most rows as will do.
func SplitRows(rows, most int) Split {
	n := (rows + most - 1) / most
	h := (rows + n - 1) / n
	tall := rows - n*(h-1)
	return Split{Height: h, Tall: tall, Short: n - tall}
}

// Tiles returns the number of tiles.
func (s Split) Tiles() int { return s.Tall + s.Short }

// Rows returns the number of rows in the first n tiles.
func (s Split) Rows(n int) int { return n*s.Height - max(0, n-s.Tall) }
