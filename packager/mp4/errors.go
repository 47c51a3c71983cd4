package mp4

import "fmt"

// Fault says what is wrong with a file.
type Fault uint8

const (
	NotMP4      Fault = iota + 1 // not the ISO base media file format at all
	Truncated                    // the file ends before its headers or samples do
	Unsupported                  // well formed, but of a kind this package does not read
	Malformed                    // a box contradicts itself, another box or the format
)

// String returns the fault in lower case words.
func (f Fault) String() string {
	switch f {
	case NotMP4:
		return "not an MP4 file"
	case Truncated:
		return "truncated"
	case Unsupported:
		return "unsupported"
	case Malformed:
		return "malformed"
	}
	return "unknown fault"
}

// An Error tells why a file cannot be read.
type Error struct {
	Fault  Fault
	Box    string // FourCC of the box at fault, "" if none
	Offset int64  // of that box in the file, -1 if unknown
	Msg    string // what is wrong, for a person
}

// Error returns the fault, the place and the reason.
func (e *Error) Error() string {
	s := "mp4: " + e.Fault.String()
	if e.Box != "" {
		s += ": " + e.Box
	}
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at byte %d", e.Offset)
	}
	return s + ": " + e.Msg
}
