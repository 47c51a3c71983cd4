package mp4

import (
	"bytes"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/bits"
)

// avcSAR returns the sample aspect ratio in the first SPS of an avcC payload,
// 0, 0 if there is none. mp4ff's reader of the whole SPS allocates by a count
// in it (num_ref_frames_in_pic_order_cnt_cycle), so that it is not for foreign
// input.
func avcSAR(avcC []byte) (num, den uint32) {
	if len(avcC) < 8 || avcC[5]&31 == 0 {
		return 0, 0
	}
	n := int(be16(avcC[6:]))
	if n < 4 || n > len(avcC)-8 {
		return 0, 0
	}
	// ITU-T H.264 7.3.2.1.1; "skip" is a value that this does not need.
	sps := avcC[8 : 8+n]
	r := bits.NewEBSPReader(bytes.NewReader(sps))
	skip := func(n int) {
		for range n {
			r.ReadExpGolomb()
		}
	}
	r.Read(32)
	skip(1)
	switch sps[1] { // profile_idc
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma := r.ReadExpGolomb()
		if chroma == 3 {
			r.ReadFlag()
		}
		skip(2)
		r.ReadFlag()
		if r.ReadFlag() { // seq_scaling_matrix_present_flag
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.ReadFlag() {
					skipScalingList(r, i)
				}
			}
		}
	}
	skip(1)
	switch r.ReadExpGolomb() { // pic_order_cnt_type
	case 0:
		skip(1)
	case 1:
		r.ReadFlag()
		skip(2)
		cycle := r.ReadExpGolomb()
		if cycle > 255 {
			return 0, 0
		}
		skip(int(cycle))
	}
	skip(1)
	r.ReadFlag()
	skip(2)
	if !r.ReadFlag() { // frame_mbs_only_flag
		r.ReadFlag()
	}
	r.ReadFlag()
	if r.ReadFlag() { // frame_cropping_flag
		skip(4)
	}
	if vui := r.ReadFlag(); !vui || !r.ReadFlag() { // aspect_ratio_info_present_flag
		return 0, 0
	}
	idc := r.Read(8)
	w, h := r.Read(16), r.Read(16)
	if idc != avc.ExtendedSAR {
		var err error
		if w, h, err = avc.GetSARfromIDC(idc); err != nil {
			return 0, 0
		}
	} else if r.AccError() != nil {
		return 0, 0
	}
	return uint32(w), uint32(h)
}

func skipScalingList(r *bits.EBSPReader, number int) {
	size := 16
	if number >= 6 {
		size = 64
	}
	last, next := 8, 8
	for range size {
		if next != 0 {
			next = (last + r.ReadSignedGolomb() + 256) % 256
		}
		if next != 0 {
			last = next
		}
	}
}
