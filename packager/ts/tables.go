package ts

// appendPAT appends a packet with the program association table.
func appendPAT(dst []byte, cc byte) []byte {
	return appendSection(dst, 0, cc, []byte{
		0x00, 0xb0, 13, // table, length
		0x00, 0x01, 0xc1, 0, 0, // transport stream id, version 0, current, the only section
		0x00, 0x01, 0xe0 | pmtPID>>8, pmtPID & 0xff, // program 1
	})
}

// appendPMT appends a packet with the map of the program. The first stream
// carries the clock.
func appendPMT(dst []byte, cc byte, parts []Part) []byte {
	s := []byte{
		0x02, 0xb0, 0,
		0x00, 0x01, 0xc1, 0, 0,
		0xe0 | byte(parts[0].Stream.pid>>8), byte(parts[0].Stream.pid),
		0xf0, 0, // no program descriptors
	}
	for i := range parts {
		pid := parts[i].Stream.pid
		streamType, descriptors := parts[i].signal()
		s = append(s, streamType, 0xe0|byte(pid>>8), byte(pid), 0xf0, byte(len(descriptors)))
		s = append(s, descriptors...)
	}
	s[2] = byte(len(s) - 3 + 4)
	return appendSection(dst, pmtPID, cc, s)
}

// appendSection appends one packet that holds the section and its checksum.
func appendSection(dst []byte, pid uint16, cc byte, section []byte) []byte {
	end := len(dst) + PacketSize
	dst = append(dst, 0x47, 0x40|byte(pid>>8), byte(pid), 0x10|cc&15, 0)
	dst = append(dst, section...)
	sum := checksum(section)
	dst = append(dst, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	for len(dst) < end {
		dst = append(dst, 0xff)
	}
	return dst
}

// checksum is the CRC-32 of ISO/IEC 13818-1 annex A; hash/crc32 has only the
// reflected one.
func checksum(b []byte) uint32 {
	sum := ^uint32(0)
	for _, c := range b {
		sum ^= uint32(c) << 24
		for range 8 {
			if sum&(1<<31) != 0 {
				sum = sum<<1 ^ 0x04c11db7
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}
