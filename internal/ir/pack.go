package ir

import (
	"cmp"
	"slices"
)

// Pack places buffers in one arena so that buffers which never live at once may
// share their place: the largest first, each at the lowest place that is free for
// its whole life. It returns where each begins, and the end of the last.
func Pack(buffers []*Buffer, life map[*Buffer]Lifetime, size func(*Buffer) int) (at map[*Buffer]int, end int) {
	order := slices.Clone(buffers)
	slices.SortStableFunc(order, func(a, b *Buffer) int { return cmp.Compare(size(b), size(a)) })
	at = map[*Buffer]int{}
	var placed []*Buffer
	for _, b := range order {
		free := 0
		for _, other := range placed { // sorted by place
			if life[b].meets(life[other]) && at[other] < free+size(b) {
				free = max(free, at[other]+size(other))
			}
		}
		at[b] = free
		placed = append(placed, b)
		slices.SortStableFunc(placed, func(a, b *Buffer) int { return cmp.Compare(at[a], at[b]) })
		end = max(end, free+size(b))
	}
	return at, end
}
