package mp4

// A table holds the samples of a track.
type table struct{ n int }

func (b *table) sample(i int) Sample                               { return Sample{} }
func (b *table) appendSamples(dst []Sample, first, n int) []Sample { return dst }
func (b *table) extents(first, n int) []Extent                     { return nil }
func (b *table) bytes(first, n int) int64                          { return 0 }
func (b *table) at(dts int64) int                                  { return 0 }
