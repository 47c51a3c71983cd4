package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/openams/openams/origin"
)

// listeners are the open ports of a server.
type listeners struct {
	https, http, blob, blobTLS, streaming net.Listener
}

func (l *listeners) all() []net.Listener {
	return []net.Listener{l.https, l.http, l.blob, l.blobTLS, l.streaming}
}

func (l *listeners) close() {
	for _, x := range l.all() {
		if x != nil {
			x.Close()
		}
	}
}

// listen opens every port, or none.
func listen(c *config, t *tls.Config) (*listeners, error) {
	l := new(listeners)
	for _, p := range []struct {
		into *net.Listener
		name string
		port int
		wrap func(net.Listener) net.Listener
	}{
		{&l.https, "https-port", c.HTTPSPort, func(l net.Listener) net.Listener { return tls.NewListener(l, withHTTP2(t)) }},
		{&l.http, "http-port", c.HTTPPort, nil},
		{&l.blob, "blob-port", c.BlobPort, nil},
		{&l.blobTLS, "blob-tls-port", c.BlobTLSPort, func(l net.Listener) net.Listener { return tls.NewListener(l, t) }},
		{&l.streaming, "streaming-port", c.StreamingPort, func(l net.Listener) net.Listener { return origin.NewDualListener(l, withHTTP2(t)) }},
	} {
		x, err := net.Listen("tcp", net.JoinHostPort(c.Listen, strconv.Itoa(p.port)))
		if err != nil {
			l.close()
			return nil, fmt.Errorf("--%s: %w", p.name, err)
		}
		if p.wrap != nil {
			x = p.wrap(x)
		}
		*p.into = x
	}
	return l, nil
}

func withHTTP2(t *tls.Config) *tls.Config {
	t = t.Clone()
	t.NextProtos = []string{"h2", "http/1.1"}
	return t
}

// at is "host:port" of a listener as clients say it.
func at(host string, l net.Listener) string {
	return net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// grace is how long requests under way may take to end at shutdown.
const grace = 10 * time.Second

// serveHTTP answers on every listener until ctx ends, then lets the requests
// under way finish.
func serveHTTP(ctx context.Context, log *slog.Logger, servers map[net.Listener]*http.Server) error {
	failed := make(chan error, len(servers))
	for l, s := range servers {
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	done := make(chan struct{})
	for _, s := range servers {
		go func() {
			if err := s.Shutdown(stop); err != nil {
				log.Warn("requests were cut off at shutdown", "error", err)
				s.Close()
			}
			done <- struct{}{}
		}()
	}
	for range servers {
		<-done
	}
	return err
}
