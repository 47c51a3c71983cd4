package protect

import (
	"bytes"
	"testing"

	"github.com/openams/openams/packager/mp4"
)

// TestSubsamples holds the form of senc against ISO/IEC 23001-7 7.2.
func TestSubsamples(t *testing.T) {
	for _, tt := range []struct {
		name string
		list []mp4.Subsample
		want []byte
	}{
		{"one", []mp4.Subsample{{Clear: 10, Protected: 32}}, []byte{0, 1, 0, 10, 0, 0, 0, 32}},
		{"odd", []mp4.Subsample{{Clear: 10, Protected: 45}}, []byte{0, 1, 0, 23, 0, 0, 0, 32}},
		{"clear", []mp4.Subsample{{Clear: 7}}, []byte{0, 1, 0, 7, 0, 0, 0, 0}},
		{"two", []mp4.Subsample{{Clear: 1, Protected: 16}, {Clear: 2, Protected: 0x10010}},
			[]byte{0, 2, 0, 1, 0, 0, 0, 16, 0, 2, 0, 1, 0, 16}},
		{"most clear bytes", []mp4.Subsample{{Clear: 0xffff, Protected: 16}}, []byte{0, 1, 0xff, 0xff, 0, 0, 0, 16}},
		{"long", []mp4.Subsample{{Clear: 2*0xffff + 3, Protected: 16}},
			[]byte{0, 3, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 3, 0, 0, 0, 16}},
		{"long by rounding", []mp4.Subsample{{Clear: 0xffff, Protected: 17}},
			[]byte{0, 2, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16}},
	} {
		wholeBlocks(tt.list)
		var x sampleInfo
		x.subsamples(tt.list)
		if !bytes.Equal(x.data, tt.want) {
			t.Errorf("%s: % x, want % x", tt.name, x.data, tt.want)
		}
	}
}

// TestBoxes holds what saiz says of samples alike and unlike.
func TestBoxes(t *testing.T) {
	even := sampleInfo{count: 2, data: make([]byte, 16), sizes: []byte{8, 8}}
	odd := sampleInfo{flags: hasSubsamples, count: 2, data: make([]byte, 38), sizes: []byte{16, 22}}
	for _, tt := range []struct {
		name   string
		info   sampleInfo
		uuid   bool
		length int
		has    string
	}{
		{"alike", even, false, 16 + 16 + 17 + 20, "saiz\x00\x00\x00\x00\x08\x00\x00\x00\x02\x00"},
		{"unlike", odd, false, 16 + 38 + 19 + 20, "saiz\x00\x00\x00\x00\x00\x00\x00\x00\x02\x10\x16"},
		{"offset", even, false, 69, "saio\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x74"},
		{"uuid", odd, true, 8 + 16 + 8 + 38, "\x8d\xf4\x00\x00\x00\x02\x00\x00\x00\x02"},
		{"none", sampleInfo{count: 2, sizes: []byte{0, 0}}, false, 0, ""},
	} {
		b := tt.info.boxes(tt.uuid, 100)
		if len(b) != tt.length || !bytes.Contains(b, []byte(tt.has)) {
			t.Errorf("%s: %d bytes, want %d: %q", tt.name, len(b), tt.length, b)
		}
	}
}
