package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// recorder remembers status and size of an answer. It passes ReadFrom down as
// it is: net/http's own writer then gives a file to the connection, and the
// kernel copies it.
type recorder struct {
	http.ResponseWriter
	status   int
	bytes    int64 // of the body
	hijacked bool
	patience time.Duration // Config.Patience
}

// extend gives the client the time of one piece.
func (w *recorder) extend() {
	if w.patience > 0 && !w.hijacked {
		// A writer without deadlines, as in tests, needs none.
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.patience))
	}
}

func (w *recorder) WriteHeader(status int) {
	// 1xx answers precede the real one, except 101, which ends HTTP.
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.begin()
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, which io.Copy looks for.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	if w.patience > 0 {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

func (w *recorder) Flush() {
	w.begin()
	w.extend()
	// A writer that cannot flush sends what it has in its own time.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.hijacked = true
		w.status = http.StatusSwitchingProtocols
	}
	return c, rw, err
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}
