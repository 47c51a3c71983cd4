package mp4

// avcParams are the parameter sets that are in force at some point of an H.264
// track: what slice headers need of them (ITU-T H.264 7.3.3).
type avcParams struct {
	sps [32]*avcSPS
	pps [256]*avcPPS
}

type avcSPS struct {
	separatePlanes   bool
	chroma           bool // ChromaArrayType is not 0
	frameNumBits     int
	pocType          uint32
	pocBits          int
	alwaysZero       bool // delta_pic_order_always_zero_flag
	frameMacroblocks bool // frame_mbs_only_flag
}

type avcPPS struct {
	sps         int
	cabac       bool
	bottomField bool // bottom_field_pic_order_in_frame_present_flag
	refs        [2]int
	weighted    bool
	biweighted  uint32
	deblocking  bool // deblocking_filter_control_present_flag
	redundant   bool // redundant_pic_cnt_present_flag
}

// NAL unit types of H.264.
const (
	avcSlice    = 1
	avcIDR      = 5
	avcTypeSPS  = 7
	avcTypePPS  = 8
	avcAuxSlice = 19
	avcMVCSlice = 20
	avc3DSlice  = 21
)

// config takes the parameter sets of an avcC payload.
func (p *avcParams) config(c []byte) {
	if len(c) < 6 {
		return
	}
	count, c := int(c[5]&31), c[6:]
	for range 2 { // first the SPSs, then the PPSs
		for range count {
			if len(c) < 2 {
				return
			}
			n := int(be16(c))
			if n > len(c)-2 {
				return
			}
			p.learn(c[2 : 2+n])
			c = c[2+n:]
		}
		if len(c) < 1 {
			return
		}
		count, c = int(c[0]), c[1:]
	}
}

func (p *avcParams) role(nal []byte) role {
	switch t := nal[0] & 31; t {
	case avcSlice, 2, 3, 4, avcIDR, avcAuxSlice, avcMVCSlice, avc3DSlice:
		return slice
	case avcTypeSPS, avcTypePPS:
		return parameters
	}
	return plain
}

// learn takes a parameter set; one that cannot be read is forgotten, and its
// predecessor with it.
func (p *avcParams) learn(nal []byte) {
	if len(nal) < 2 {
		return
	}
	r := &bitReader{b: nal, pos: 1}
	switch nal[0] & 31 {
	case avcTypeSPS:
		if id, s := readAVCSPS(r); id < len(p.sps) {
			p.sps[id] = s
		}
	case avcTypePPS:
		if id, s := readAVCPPS(r); id < len(p.pps) {
			p.pps[id] = s
		}
	}
}

// readAVCSPS reads 7.3.2.1.1 as far as slices need it.
func readAVCSPS(r *bitReader) (id int, s *avcSPS) {
	s = &avcSPS{chroma: true}
	profile := r.bits(8)
	r.skip(16)
	id = r.most(31)
	if r.bad {
		return 32, nil
	}
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma := r.ue()
		if chroma == 3 {
			s.separatePlanes = r.flag()
		}
		s.chroma = chroma != 0 && !s.separatePlanes
		r.ues(2)
		r.flag()
		if r.flag() { // seq_scaling_matrix_present_flag
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.flag() {
					r.avcScalingList(i)
				}
			}
		}
	}
	s.frameNumBits = r.most(12) + 4
	switch s.pocType = r.ue(); s.pocType {
	case 0:
		s.pocBits = r.most(12) + 4
	case 1:
		s.alwaysZero = r.flag()
		r.ues(2)
		r.ues(r.most(255))
	}
	r.ue()
	r.flag()
	r.ues(2)
	s.frameMacroblocks = r.flag()
	if r.bad {
		return id, nil
	}
	return id, s
}

func (r *bitReader) avcScalingList(number int) {
	size := 16
	if number >= 6 {
		size = 64
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.se()) & 255
		}
		if next != 0 {
			last = next
		}
	}
}

// readAVCPPS reads 7.3.2.2 as far as slices need it.
func readAVCPPS(r *bitReader) (id int, s *avcPPS) {
	s = new(avcPPS)
	id = r.most(255)
	if r.bad {
		return 256, nil
	}
	s.sps = r.most(31)
	s.cabac = r.flag()
	s.bottomField = r.flag()
	if r.ue() != 0 { // num_slice_groups_minus1: only in profiles that nobody streams
		return id, nil
	}
	s.refs = [2]int{r.most(31) + 1, r.most(31) + 1}
	s.weighted = r.flag()
	s.biweighted = r.bits(2)
	r.ues(3)
	s.deblocking = r.flag()
	r.flag()
	s.redundant = r.flag()
	if r.bad {
		return id, nil
	}
	return id, s
}

// header returns the bytes of a slice's NAL unit up to the byte in which slice
// data begins, that one included if they share it (7.3.3); 0 if they cannot be
// told.
func (p *avcParams) header(nal []byte) int {
	typ, refIDC := nal[0]&31, nal[0]>>5&3
	if typ != avcSlice && typ != avcIDR {
		return 0
	}
	r := &bitReader{b: nal, pos: 1}
	r.ue() // first_mb_in_slice
	kind := r.most(9) % 5
	const (
		kindP, kindB, kindI, kindSP, kindSI = 0, 1, 2, 3, 4
	)
	pps := p.pps[r.most(255)]
	if r.bad || pps == nil || p.sps[pps.sps] == nil {
		return 0
	}
	sps := p.sps[pps.sps]
	if sps.separatePlanes {
		r.skip(2)
	}
	r.skip(sps.frameNumBits)
	field := false
	if !sps.frameMacroblocks {
		if field = r.flag(); field {
			r.flag()
		}
	}
	if typ == avcIDR {
		r.ue()
	}
	switch {
	case sps.pocType == 0:
		r.skip(sps.pocBits)
		if pps.bottomField && !field {
			r.se()
		}
	case sps.pocType == 1 && !sps.alwaysZero:
		r.se()
		if pps.bottomField && !field {
			r.se()
		}
	}
	if pps.redundant {
		r.ue()
	}
	if kind == kindB {
		r.flag()
	}
	refs := pps.refs
	inter := kind == kindP || kind == kindSP || kind == kindB
	if inter && r.flag() { // num_ref_idx_active_override_flag
		refs[0] = r.most(31) + 1
		if kind == kindB {
			refs[1] = r.most(31) + 1
		}
	}
	lists := 0
	if inter {
		lists = 1
	}
	if kind == kindB {
		lists = 2
	}
	for range lists {
		if r.flag() { // ref_pic_list_modification_flag
			for range 100 { // more than two fields of 16 frames can use
				if r.ue() == 3 || r.bad {
					break
				}
				r.ue()
			}
		}
	}
	if pps.weighted && (kind == kindP || kind == kindSP) || pps.biweighted == 1 && kind == kindB {
		r.ue()
		if sps.chroma {
			r.ue()
		}
		for l := range lists {
			for range refs[l] {
				if r.flag() {
					r.ues(2)
				}
				if sps.chroma && r.flag() {
					r.ues(4)
				}
			}
		}
	}
	if refIDC != 0 {
		r.avcMarking(typ == avcIDR)
	}
	if pps.cabac && kind != kindI && kind != kindSI {
		r.ue()
	}
	r.se()
	if kind == kindSP || kind == kindSI {
		if kind == kindSP {
			r.flag()
		}
		r.se()
	}
	if pps.deblocking && r.ue() != 1 {
		r.ues(2)
	}
	if r.bad {
		return 0
	}
	return r.done()
}

// avcMarking reads dec_ref_pic_marking (7.3.3.3).
func (r *bitReader) avcMarking(idr bool) {
	if idr {
		r.skip(2)
		return
	}
	if !r.flag() {
		return
	}
	for range 100 {
		switch r.ue() {
		case 0:
			return
		case 1, 2, 4, 6:
			r.ue()
		case 3:
			r.ues(2)
		}
		if r.bad {
			return
		}
	}
}
