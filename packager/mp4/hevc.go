package mp4

import "math/bits"

// hevcParams are the parameter sets that are in force at some point of an HEVC
// track: what slice segment headers need of them (ITU-T H.265 7.3.6).
type hevcParams struct {
	sps [16]*hevcSPS
	pps [64]*hevcPPS
}

type hevcSPS struct {
	separatePlanes  bool
	chroma          bool // ChromaArrayType is not 0
	addressBits     int  // of slice_segment_address
	pocBits         int
	sets            []hevcRefs
	longTerm        bool
	longTermUsed    []bool // used_by_curr_pic_lt_sps_flag
	sao, temporalMV bool
}

type hevcPPS struct {
	sps               int
	dependent         bool // dependent_slice_segments_enabled_flag
	outputFlag        bool
	extraBits         int
	cabacInit         bool
	refs              [2]int
	chromaQP          bool // pps_slice_chroma_qp_offsets_present_flag
	weighted          bool
	biweighted        bool
	entryPoints       bool // tiles or wavefronts
	acrossSlices      bool // pps_loop_filter_across_slices_enabled_flag
	deblockOverride   bool
	deblockDisabled   bool
	listsModification bool
	extension         bool // slice_segment_header_extension_present_flag
	chromaQPList      bool // chroma_qp_offset_list_enabled_flag
}

// hevcRefs is a short-term reference picture set: pictures before and after the
// current one, the nearest first.
type hevcRefs struct{ before, after []hevcRef }

type hevcRef struct {
	delta int32 // in picture order
	used  bool  // by the current picture
}

// NAL unit types of HEVC.
const (
	hevcLastSlice = 9  // the last type of ordinary slices
	hevcFirstIRAP = 16 // random access pictures
	hevcIDRW      = 19
	hevcIDRN      = 20
	hevcLastIRAP  = 21
	hevcTypeVPS   = 32
	hevcTypeSPS   = 33
	hevcTypePPS   = 34
)

// config takes the parameter sets of an hvcC payload.
func (p *hevcParams) config(c []byte) {
	if len(c) < 23 {
		return
	}
	arrays, c := int(c[22]), c[23:]
	for range arrays {
		if len(c) < 3 {
			return
		}
		count := int(be16(c[1:]))
		c = c[3:]
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
	}
}

func (p *hevcParams) role(nal []byte) role {
	switch t := nal[0] >> 1 & 63; {
	case t < hevcTypeVPS:
		return slice
	case t == hevcTypeSPS, t == hevcTypePPS:
		return parameters
	}
	return plain
}

// learn takes a parameter set; one that cannot be read is forgotten, and its
// predecessor with it. Those of other layers than the base are passed over.
func (p *hevcParams) learn(nal []byte) {
	if len(nal) < 3 || hevcLayer(nal) != 0 {
		return
	}
	r := &bitReader{b: nal, pos: 2}
	switch nal[0] >> 1 & 63 {
	case hevcTypeSPS:
		if id, s := readHEVCSPS(r); id < len(p.sps) {
			p.sps[id] = s
		}
	case hevcTypePPS:
		if id, s := readHEVCPPS(r); id < len(p.pps) {
			p.pps[id] = s
		}
	}
}

func hevcLayer(nal []byte) int { return int(nal[0]&1)<<5 | int(nal[1]>>3) }

// bitsFor is Ceil(Log2(n)).
func bitsFor(n int) int { return bits.Len(uint(max(n, 1) - 1)) }

// readHEVCSPS reads 7.3.2.2.1 as far as slices need it.
func readHEVCSPS(r *bitReader) (id int, s *hevcSPS) {
	s = new(hevcSPS)
	r.skip(4)
	layers := int(r.bits(3)) // less one
	r.flag()
	r.skip(88 + 8) // general profile and level
	var profile, level [8]bool
	for i := range layers {
		profile[i], level[i] = r.flag(), r.flag()
	}
	if layers > 0 {
		r.skip(2 * (8 - layers))
	}
	for i := range layers {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
	id = r.most(15)
	if r.bad {
		return len(hevcParams{}.sps), nil
	}
	chroma := r.most(3)
	if chroma == 3 {
		s.separatePlanes = r.flag()
	}
	s.chroma = chroma != 0 && !s.separatePlanes
	width, height := r.most(1<<16), r.most(1<<16)
	if r.flag() {
		r.ues(4)
	}
	r.ues(2)
	s.pocBits = r.most(12) + 4
	from := layers
	if r.flag() {
		from = 0
	}
	for range layers - from + 1 {
		r.ues(3)
	}
	ctb := r.most(3) + 3
	ctb += r.most(3)
	columns, rows := (width+1<<ctb-1)>>ctb, (height+1<<ctb-1)>>ctb
	s.addressBits = bitsFor(columns * rows)
	r.ues(4)
	if enabled := r.flag(); enabled && r.flag() { // sps_scaling_list_data_present_flag
		r.hevcScalingLists()
	}
	r.flag()
	s.sao = r.flag()
	if r.flag() { // pcm_enabled_flag
		r.skip(8)
		r.ues(2)
		r.flag()
	}
	sets := r.most(64)
	for i := range sets {
		s.sets = append(s.sets, r.hevcRefs(s.sets, i, sets))
		if r.bad {
			return id, nil
		}
	}
	if s.longTerm = r.flag(); s.longTerm {
		for range r.most(32) {
			r.skip(s.pocBits)
			s.longTermUsed = append(s.longTermUsed, r.flag())
		}
	}
	s.temporalMV = r.flag()
	if r.bad {
		return id, nil
	}
	return id, s
}

// hevcScalingLists skips scaling_list_data (7.3.4).
func (r *bitReader) hevcScalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for m := 0; m < 6; m += step {
			if !r.flag() {
				r.ue()
				continue
			}
			if size > 1 {
				r.se()
			}
			r.ues(min(64, 1<<(4+size<<1)))
		}
	}
}

// hevcRefs reads st_ref_pic_set number i of n in an SPS (7.3.7); i is n in a
// slice header.
func (r *bitReader) hevcRefs(sets []hevcRefs, i, n int) (s hevcRefs) {
	if i > 0 && r.flag() { // inter_ref_pic_set_prediction_flag
		back := 1
		if i == n {
			back = r.most(uint32(i-1)) + 1
		}
		if back > len(sets) {
			r.bad = true
			return s
		}
		return r.hevcDerivedRefs(sets[i-back])
	}
	before, after := r.most(16), r.most(16)
	if before+after > 16 {
		r.bad = true
		return s
	}
	read := func(n int, sign int32) (list []hevcRef) {
		delta := int32(0)
		for range n {
			delta += sign * int32(r.most(1<<15)+1)
			list = append(list, hevcRef{delta, r.flag()})
		}
		return list
	}
	s.before = read(before, -1)
	s.after = read(after, 1)
	return s
}

// hevcDerivedRefs reads a set that is told by its difference to ref (7-61, 7-62).
func (r *bitReader) hevcDerivedRefs(ref hevcRefs) (s hevcRefs) {
	negative := r.flag()
	delta := int32(r.most(1<<15) + 1)
	if negative {
		delta = -delta
	}
	type change struct{ used, keep bool }
	var changes [17]change
	nb, na := len(ref.before), len(ref.after)
	n := nb + na // at most 16
	for j := range n + 1 {
		c := change{r.flag(), true}
		if !c.used {
			c.keep = r.flag()
		}
		changes[j] = c
	}
	add := func(list *[]hevcRef, sign, at int32, c change) {
		if at*sign > 0 && c.keep && len(*list) < 16 {
			*list = append(*list, hevcRef{at, c.used})
		}
	}
	for j := na - 1; j >= 0; j-- {
		add(&s.before, -1, ref.after[j].delta+delta, changes[nb+j])
	}
	add(&s.before, -1, delta, changes[n])
	for j := range nb {
		add(&s.before, -1, ref.before[j].delta+delta, changes[j])
	}
	for j := nb - 1; j >= 0; j-- {
		add(&s.after, 1, ref.before[j].delta+delta, changes[j])
	}
	add(&s.after, 1, delta, changes[n])
	for j := range na {
		add(&s.after, 1, ref.after[j].delta+delta, changes[nb+j])
	}
	if len(s.before)+len(s.after) > 16 {
		r.bad = true
	}
	return s
}

// used counts the pictures that the current one refers to.
func (s hevcRefs) used() (n int) {
	for _, list := range [][]hevcRef{s.before, s.after} {
		for _, ref := range list {
			if ref.used {
				n++
			}
		}
	}
	return n
}

// readHEVCPPS reads 7.3.2.3.1 as far as slices need it.
func readHEVCPPS(r *bitReader) (id int, s *hevcPPS) {
	s = new(hevcPPS)
	id = r.most(63)
	if r.bad {
		return len(hevcParams{}.pps), nil
	}
	s.sps = r.most(15)
	s.dependent = r.flag()
	s.outputFlag = r.flag()
	s.extraBits = int(r.bits(3))
	r.flag()
	s.cabacInit = r.flag()
	s.refs = [2]int{r.most(14) + 1, r.most(14) + 1}
	r.se()
	r.flag()
	transformSkip := r.flag()
	if r.flag() {
		r.ue()
	}
	r.ues(2)
	s.chromaQP = r.flag()
	s.weighted = r.flag()
	s.biweighted = r.flag()
	r.flag()
	tiles := r.flag()
	s.entryPoints = r.flag() || tiles
	if tiles {
		columns, rows := r.most(1<<10), r.most(1<<10)
		if !r.flag() {
			r.ues(columns + rows)
		}
		r.flag()
	}
	s.acrossSlices = r.flag()
	if r.flag() { // deblocking_filter_control_present_flag
		s.deblockOverride = r.flag()
		if s.deblockDisabled = r.flag(); !s.deblockDisabled {
			r.ues(2)
		}
	}
	if r.flag() {
		r.hevcScalingLists()
	}
	s.listsModification = r.flag()
	r.ue()
	s.extension = r.flag()
	if r.flag() { // pps_extension_present_flag
		ranges := r.flag()
		if r.bits(7) != 0 { // other layers, depth, screen content: their headers have more
			return id, nil
		}
		if ranges {
			if transformSkip {
				r.ue()
			}
			r.flag()
			s.chromaQPList = r.flag()
		}
	}
	if r.bad {
		return id, nil
	}
	return id, s
}

// header returns the bytes of a slice segment's NAL unit up to slice data
// (7.3.6.1); 0 if they cannot be told.
func (p *hevcParams) header(nal []byte) int {
	if len(nal) < 3 || hevcLayer(nal) != 0 {
		return 0
	}
	typ := nal[0] >> 1 & 63
	if typ > hevcLastSlice && typ < hevcFirstIRAP || typ > hevcLastIRAP {
		return 0
	}
	r := &bitReader{b: nal, pos: 2}
	first := r.flag()
	if typ >= hevcFirstIRAP {
		r.flag()
	}
	pps := p.pps[r.most(63)]
	if r.bad || pps == nil || p.sps[pps.sps] == nil {
		return 0
	}
	sps := p.sps[pps.sps]
	dependent := false
	if !first {
		if pps.dependent {
			dependent = r.flag()
		}
		r.skip(sps.addressBits)
	}
	if !dependent {
		r.hevcSlice(typ, sps, pps)
	}
	if pps.entryPoints {
		if n := r.most(1 << 14); n > 0 {
			r.skip(n * (r.most(31) + 1))
		}
	}
	if pps.extension {
		r.skip(8 * r.most(256))
	}
	r.bit() // byte_alignment
	if r.bad {
		return 0
	}
	return r.done()
}

// hevcSlice reads the part of the header that dependent segments do not repeat.
func (r *bitReader) hevcSlice(typ byte, sps *hevcSPS, pps *hevcPPS) {
	r.skip(pps.extraBits)
	const kindB, kindI = 0, 2
	kind := r.most(2)
	if pps.outputFlag {
		r.flag()
	}
	if sps.separatePlanes {
		r.skip(2)
	}
	pictures := 0 // NumPicTotalCurr
	temporalMV := false
	if typ != hevcIDRW && typ != hevcIDRN {
		r.skip(sps.pocBits)
		var refs hevcRefs
		n := len(sps.sets)
		if !r.flag() {
			refs = r.hevcRefs(sps.sets, n, n)
		} else if i := int(r.bits(bitsFor(n))); i < n {
			refs = sps.sets[i]
		} else {
			r.bad = true
		}
		pictures = refs.used()
		if sps.longTerm {
			pictures += r.hevcLongTerm(sps)
		}
		temporalMV = sps.temporalMV && r.flag()
	}
	saoLuma, saoChroma := false, false
	if sps.sao {
		saoLuma = r.flag()
		saoChroma = sps.chroma && r.flag()
	}
	if kind != kindI {
		refs := pps.refs
		if r.flag() { // num_ref_idx_active_override_flag
			refs[0] = r.most(14) + 1
			if kind == kindB {
				refs[1] = r.most(14) + 1
			}
		}
		lists := refs[:1]
		if kind == kindB {
			lists = refs[:2]
		}
		if pps.listsModification && pictures > 1 {
			for _, n := range lists {
				if r.flag() {
					r.skip(n * bitsFor(pictures))
				}
			}
		}
		if kind == kindB {
			r.flag()
		}
		if pps.cabacInit {
			r.flag()
		}
		if temporalMV {
			list := 0
			if kind == kindB && !r.flag() {
				list = 1
			}
			if refs[list] > 1 {
				r.ue()
			}
		}
		if pps.weighted && kind != kindB || pps.biweighted && kind == kindB {
			r.hevcWeights(lists, sps.chroma)
		}
		r.ue()
	}
	r.se()
	if pps.chromaQP {
		r.ues(2)
	}
	if pps.chromaQPList {
		r.flag()
	}
	disabled := pps.deblockDisabled
	if pps.deblockOverride && r.flag() {
		if disabled = r.flag(); !disabled {
			r.ues(2)
		}
	}
	if pps.acrossSlices && (saoLuma || saoChroma || !disabled) {
		r.flag()
	}
}

// hevcLongTerm reads the long-term pictures and returns how many are used.
func (r *bitReader) hevcLongTerm(sps *hevcSPS) (used int) {
	known := len(sps.longTermUsed)
	fromSPS := 0
	if known > 0 {
		fromSPS = r.most(32)
	}
	for i := range fromSPS + r.most(32) {
		switch {
		case i >= fromSPS:
			r.skip(sps.pocBits)
			if r.flag() {
				used++
			}
		case known > 0:
			if k := int(r.bits(bitsFor(known))); k < known && sps.longTermUsed[k] {
				used++
			}
		}
		if r.flag() {
			r.ue()
		}
	}
	return used
}

// hevcWeights skips pred_weight_table (7.3.6.3).
func (r *bitReader) hevcWeights(lists []int, chroma bool) {
	r.ue()
	if chroma {
		r.se()
	}
	for _, n := range lists {
		var lumas, chromas [16]bool
		for i := range n {
			lumas[i] = r.flag()
		}
		if chroma {
			for i := range n {
				chromas[i] = r.flag()
			}
		}
		for i := range n {
			if lumas[i] {
				r.ues(2)
			}
			if chromas[i] {
				r.ues(4)
			}
		}
	}
}
