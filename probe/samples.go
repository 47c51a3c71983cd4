package probe

import (
	"bytes"
	"errors"
	"fmt"
)

// checkSamples looks into the clear samples of a segment. decrypted asks for the
// signs by which another key shows.
func checkSamples(t *track, smooth bool, b []byte, samples []sample, decrypted bool) error {
	switch t.codec {
	case "avc1", "avc3", "hvc1", "hev1":
		length := 4
		if hevc := t.codec[0] == 'h'; hevc && len(t.config) > 21 {
			length = int(t.config[21]&3) + 1
		} else if !hevc && len(t.config) > 4 && !smooth {
			length = int(t.config[4]&3) + 1
		}
		for i := range samples {
			if err := checkUnits(t.codec, b[samples[i].off:samples[i].off+samples[i].size], length, samples[i].sync); err != nil {
				return fmt.Errorf("sample %d: %w", i, err)
			}
		}
	case "mp4a":
		return checkAAC(b, samples, decrypted)
	case "ac-3", "ec-3":
		for i := range samples {
			if x := samples[i]; x.size < 2 || b[x.off] != 0x0b || b[x.off+1] != 0x77 {
				return fmt.Errorf("sample %d does not begin with the sync word of %s", i, t.codec)
			}
		}
	}
	return nil
}

// checkUnits reads the NAL units of a picture, each behind its length.
func checkUnits(codec string, b []byte, length int, sync bool) error {
	slices, keys := 0, 0
	for len(b) > 0 {
		if len(b) < length {
			return errors.New("a NAL unit's length is cut short")
		}
		n := 0
		for _, c := range b[:length] {
			n = n<<8 | int(c)
		}
		if b = b[length:]; n < 1 || n > len(b) {
			return fmt.Errorf("a NAL unit says it has %d bytes where %d are left", n, len(b))
		}
		slice, key, err := checkUnit(codec, b[:n])
		if err != nil {
			return err
		}
		if slice {
			slices++
		}
		if key {
			keys++
		}
		b = b[n:]
	}
	switch {
	case slices == 0:
		return errors.New("it holds no slice of a picture")
	case sync && keys == 0:
		return errors.New("it is marked as a key frame and is none")
	}
	return nil
}

// checkUnit looks at one NAL unit of H.264 (7.3.1) or HEVC.
func checkUnit(codec string, u []byte) (slice, key bool, err error) {
	if u[0]&0x80 != 0 {
		return false, false, errors.New("forbidden_zero_bit is set in a NAL unit")
	}
	if codec[0] == 'h' {
		typ := u[0] >> 1 & 63
		slice, key = typ < 32, typ >= 16 && typ <= 23
	} else {
		typ := u[0] & 31
		slice, key = typ >= 1 && typ <= 5, typ == 5
	}
	if !slice {
		return slice, key, nil
	}
	// In a unit 00 00 is followed by 03 or more, and none ends in 00: bytes that
	// were decrypted with another key break that sooner or later.
	for rest := u; ; {
		i := bytes.Index(rest, []byte{0, 0})
		if i < 0 || i+2 >= len(rest) {
			break
		}
		if rest[i+2] < 3 {
			return slice, key, errors.New("a NAL unit holds a start code: it is damaged, or was decrypted with another key")
		}
		rest = rest[i+2:]
	}
	if u[len(u)-1] == 0 {
		return slice, key, errors.New("a NAL unit ends in a zero byte: it is damaged, or was decrypted with another key")
	}
	return slice, key, nil
}

// checkAAC looks at the first element and the end of each raw_data_block
// (ISO/IEC 14496-3 4.4.2.1). Encoders may pad, so that one frame means nothing.
func checkAAC(b []byte, samples []sample, decrypted bool) error {
	odd := 0
	for _, x := range samples {
		data := b[x.off : x.off+x.size]
		if len(data) == 0 {
			return errors.New("an AAC frame is empty")
		}
		if first := data[0] >> 5; first == 2 || first == 3 || first == 7 || !endsAAC(data) {
			odd++
		}
	}
	if decrypted && len(samples) >= 10 && odd*3 > len(samples) {
		return fmt.Errorf("%d of %d AAC frames are none: they were decrypted with another key", odd, len(samples))
	}
	return nil
}

// endsAAC reports whether data ends in ID_END and zero bits up to a whole byte.
func endsAAC(data []byte) bool {
	tail := uint32(data[len(data)-1])
	if len(data) > 1 {
		tail |= uint32(data[len(data)-2]) << 8
	}
	for range 8 {
		if tail&1 == 1 {
			return tail&7 == 7
		}
		tail >>= 1
	}
	return false
}
