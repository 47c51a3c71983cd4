package origin

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// sniffTime is how long a client may take to send its first byte.
	sniffTime = 10 * time.Second
	// maxSniffed bounds the connections that wait for one.
	maxSniffed = 8192
)

// NewDualListener accepts TLS and plain connections on one port: a connection
// whose first byte begins a TLS handshake becomes a *tls.Conn, any other one
// stays as it is. An http.Server over it speaks HTTP/2 to TLS clients, and a
// plain TCP connection keeps sendfile. A client that sends nothing for ten
// seconds is dropped.
//
// Closing the result closes l and all connections that still wait.
func NewDualListener(l net.Listener, c *tls.Config) net.Listener {
	c = c.Clone()
	for _, p := range []string{"http/1.1", "h2"} { // the preferred one ends up first
		if !slices.Contains(c.NextProtos, p) {
			c.NextProtos = append([]string{p}, c.NextProtos...)
		}
	}
	d := &dualListener{
		Listener: l, config: c,
		accepted: make(chan accepted),
		done:     make(chan struct{}),
		waiting:  map[net.Conn]bool{},
		slots:    make(chan struct{}, maxSniffed),
	}
	go d.run()
	return d
}

type dualListener struct {
	net.Listener
	config   *tls.Config
	accepted chan accepted
	done     chan struct{} // closed by Close
	slots    chan struct{}

	mu      sync.Mutex
	closed  bool
	waiting map[net.Conn]bool // for their first byte
}

type accepted struct {
	conn net.Conn
	err  error
}

// Accept returns the next connection that has said what it is.
func (d *dualListener) Accept() (net.Conn, error) {
	select {
	case a := <-d.accepted:
		return a.conn, a.err
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener.
func (d *dualListener) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
	for c := range d.waiting {
		c.Close()
	}
	return d.Listener.Close()
}

func (d *dualListener) run() {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			// http.Server waits and tries again if the error is temporary; each
			// Accept of its is answered by one of ours.
			if !d.hand(accepted{nil, err}) {
				return
			}
			continue
		}
		select {
		case d.slots <- struct{}{}:
			go d.sniff(conn)
		case <-d.done:
			conn.Close()
			return
		}
	}
}

// hand gives a to Accept and reports whether anybody will ask again.
func (d *dualListener) hand(a accepted) bool {
	select {
	case d.accepted <- a:
		return true
	case <-d.done:
		if a.conn != nil {
			a.conn.Close()
		}
		return false
	}
}

// sniff waits for the first bytes of conn.
func (d *dualListener) sniff(conn net.Conn) {
	defer func() { <-d.slots }()
	if !d.wait(conn) {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Now().Add(sniffTime))
	first := make([]byte, 4096) // net/http reads as much at a time
	n, err := conn.Read(first)
	d.mu.Lock()
	delete(d.waiting, conn)
	d.mu.Unlock()
	if err != nil || n == 0 {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	const handshake = 0x16 // RFC 8446 5.1: the content type of the first record
	isTLS := first[0] == handshake
	conn = begun(conn, first[:n])
	if isTLS {
		conn = tls.Server(conn, d.config)
	}
	d.hand(accepted{conn, nil})
}

func (d *dualListener) wait(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.waiting[conn] = true
	}
	return !d.closed
}

// begun returns conn with bytes that were read from it put back.
func begun(conn net.Conn, first []byte) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &begunTCP{tcp, first}
	}
	return &begunConn{conn, first}
}

// begunTCP has the ReadFrom of its connection, hence sendfile.
type begunTCP struct {
	*net.TCPConn
	first []byte
}

func (c *begunTCP) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		return takeFirst(&c.first, p), nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo hides that of the connection, which does not know of first.
func (c *begunTCP) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

type begunConn struct {
	net.Conn
	first []byte
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		return takeFirst(&c.first, p), nil
	}
	return c.Conn.Read(p)
}

// takeFirst moves bytes from first to p and frees first when it is empty.
func takeFirst(first *[]byte, p []byte) int {
	n := copy(p, *first)
	if *first = (*first)[n:]; len(*first) == 0 {
		*first = nil
	}
	return n
}
