package restv3

import "io"

// A lenient reads JSON and leaves out each comma that another comma or the
// end of an object or array follows: the documents of AMS print bodies with
// such commas, and AMS took them. Everything else passes as it is.
type lenient struct {
	io.ReadCloser
	held   []byte // a comma outside strings and the blanks after it, not passed on yet
	ready  []byte // to be passed on
	quoted bool   // inside a string
	escape bool   // after a backslash in it
	err    error  // of the reader, once it failed or ended
}

// maxBlanks bounds what is held: no document has so many blanks after a comma.
const maxBlanks = 64 << 10

func (l *lenient) Read(p []byte) (int, error) {
	for len(l.ready) == 0 && l.err == nil {
		var chunk [4096]byte
		n, err := l.ReadCloser.Read(chunk[:])
		for _, c := range chunk[:n] {
			l.take(c)
		}
		if err != nil {
			l.ready, l.held, l.err = append(l.ready, l.held...), nil, err
		}
	}
	n := copy(p, l.ready)
	l.ready = l.ready[n:]
	if n == 0 && len(p) > 0 {
		return 0, l.err
	}
	return n, nil
}

func (l *lenient) take(c byte) {
	if l.quoted {
		l.ready = append(l.ready, c)
		l.quoted = l.escape || c != '"'
		l.escape = !l.escape && c == '\\'
		return
	}
	blank := c == ' ' || c == '\t' || c == '\r' || c == '\n'
	if len(l.held) > 0 {
		if blank && len(l.held) < maxBlanks {
			l.held = append(l.held, c)
			return
		}
		if c == ',' || c == '}' || c == ']' {
			l.held = l.held[1:]
		}
		l.ready, l.held = append(l.ready, l.held...), l.held[:0]
	}
	if c == ',' {
		l.held = append(l.held[:0], c)
		return
	}
	l.quoted = c == '"'
	l.ready = append(l.ready, c)
}
