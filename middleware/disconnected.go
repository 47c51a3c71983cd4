package middleware

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// Disconnected reports whether a copy to or from a client failed at the
// connection, which is the client's affair. It may as well have failed at a file,
// whose errors have other causes.
func Disconnected(err error) bool {
	for _, cause := range []error{syscall.EPIPE, syscall.ECONNRESET, syscall.ETIMEDOUT, net.ErrClosed, os.ErrDeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
