package packager

import "github.com/openams/openams/packager/mp4"

// FrameRate returns the frames per second of a video track as a fraction in
// lowest terms. The usual rates are recognised from the mean over all frames,
// as coarse timescales round the length of single ones.
func FrameRate(t *mp4.Track) (num, den int64) {
	n := t.NumSamples()
	if n == 0 {
		return 1, 1
	}
	last := t.Sample(n - 1)
	length := float64(last.DTS) + float64(last.Dur) - float64(t.Sample(0).DTS)
	if length <= 0 {
		return 1, 1
	}
	rate := float64(n) * float64(t.Timescale) / length
	for _, den := range []int64{1, 1001} {
		for _, num := range []int64{12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120} {
			if den == 1001 {
				num *= 1000
			}
			// One in five thousand is less than lies between 30 and 30000/1001.
			if off := rate*float64(den)/float64(num) - 1; max(off, -off) < 0.0002 {
				return num, den
			}
		}
	}
	num, den = max(1, int64(rate*1000+0.5)), 1000
	for a, b := num, den; ; a, b = b, a%b {
		if b == 0 {
			return num / a, den / a
		}
	}
}
