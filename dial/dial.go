package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Config says where a Client may go and how much it takes. The zero value is
// the strictest: https, public addresses.
type Config struct {
	AllowNets  []netip.Prefix // private networks that may be reached
	AllowHosts []string       // "host" or "host:port" that may be any address
	AllowHTTP  bool           // http as well as https

	MaxRedirects   int           // 0: 5
	MaxBytes       int64         // of an answer's body; 0: 260 GB, the largest source that AMS took
	ConnectTimeout time.Duration // 0: 10 s
	HeaderTimeout  time.Duration // from the request to the headers of its answer; 0: 30 s
	IdleTimeout    time.Duration // without a byte of the body; 0: 60 s

	RootCAs *x509.CertPool // nil: the system's
}

const (
	maxURL   = 4000 // characters; AMS documents it for the URLs of a job's input
	maxBytes = 260 << 30
)

// ErrTooLarge ends a body that is larger than Config.MaxBytes.
var ErrTooLarge = errors.New("dial: the answer is larger than allowed")

// ErrStalled ends a body of which nothing came for Config.IdleTimeout.
var ErrStalled = errors.New("dial: the answer stalled")

// A StatusError is an answer whose status is not 2xx.
type StatusError struct {
	Code int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("dial: the server answered %d %s", e.Code, http.StatusText(e.Code))
}

// A Client makes guarded requests.
type Client struct {
	c    Config
	http *http.Client
}

// New returns a Client.
func New(c Config) *Client {
	if c.MaxRedirects == 0 {
		c.MaxRedirects = 5
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = maxBytes
	}
	for _, t := range []struct {
		d       *time.Duration
		instead time.Duration
	}{{&c.ConnectTimeout, 10 * time.Second}, {&c.HeaderTimeout, 30 * time.Second}, {&c.IdleTimeout, time.Minute}} {
		if *t.d == 0 {
			*t.d = t.instead
		}
	}
	client := &Client{c: c}
	client.http = &http.Client{
		CheckRedirect: client.redirect,
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            client.dialContext,
			TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    c.ConnectTimeout,
			ResponseHeaderTimeout:  c.HeaderTimeout,
			MaxResponseHeaderBytes: 256 << 10,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // a length is the length of what is stored
			ForceAttemptHTTP2:      true,
		},
	}
	return client
}

// Check refuses a URL that Get would refuse whatever its name resolves to:
// for an answer at once, where the request is made later.
func (c *Client) Check(rawURL string) error {
	_, err := c.parse(rawURL)
	return err
}

func (c *Client) parse(rawURL string) (*url.URL, error) {
	if len(rawURL) > maxURL {
		return nil, fmt.Errorf("dial: a URL of more than %d characters is %w", maxURL, ErrRefused)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Error would repeat the URL and what it signs with.
		return nil, fmt.Errorf("dial: a text that is no URL is %w", ErrRefused)
	}
	return u, c.check(u)
}

func (c *Client) check(u *url.URL) error {
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && c.c.AllowHTTP):
		return fmt.Errorf("dial: the scheme %q is %w", u.Scheme, ErrRefused)
	case u.Hostname() == "":
		return fmt.Errorf("dial: a URL without a host is %w", ErrRefused)
	case u.User != nil:
		return fmt.Errorf("dial: a user name or password in a URL is %w", ErrRefused)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !c.allowedIP(ip) && !c.allowedHost(u.Hostname(), u.Port()) {
		return fmt.Errorf("dial: a private or special address is %w", ErrRefused)
	}
	return nil
}

func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if len(via) > c.c.MaxRedirects {
		return fmt.Errorf("dial: more than %d redirects are %w", c.c.MaxRedirects, ErrRefused)
	}
	// The query of a URL may hold its signature, which is not the next host's.
	r.Header.Del("Referer")
	return c.check(r.URL)
}

// Do sends r, follows redirects, and returns the answer, whatever its status.
// Its body ends with ErrTooLarge or ErrStalled where the limits are reached;
// the caller closes it.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := c.check(r.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	res, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, plain(err)
	}
	if res.ContentLength > c.c.MaxBytes {
		res.Body.Close()
		cancel(nil)
		return nil, ErrTooLarge
	}
	timer := time.AfterFunc(c.c.IdleTimeout, func() { cancel(ErrStalled) })
	timer.Stop() // until somebody reads
	res.Body = &body{ReadCloser: res.Body, left: c.c.MaxBytes, idle: c.c.IdleTimeout, ctx: ctx, cancel: cancel, timer: timer}
	return res, nil
}

// Get fetches a URL. A status other than 2xx is a *StatusError.
func (c *Client) Get(ctx context.Context, rawURL string) (*http.Response, error) {
	u, err := c.parse(rawURL)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, plain(err)
	}
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		res.Body.Close()
		return nil, &StatusError{res.StatusCode}
	}
	return res, nil
}

// Download writes what is at a URL to w and returns its size. A body that ends
// before its Content-Length is an error.
func (c *Client) Download(ctx context.Context, rawURL string, w io.Writer) (int64, error) {
	res, err := c.Get(ctx, rawURL)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(w, res.Body)
}

// HTTPClient returns a client for libraries that bring their own requests. It
// has the guard and the limits on headers, but bodies are the caller's to bound.
func (c *Client) HTTPClient() *http.Client { return c.http }

// plain takes the URL out of an error, for its query may hold a secret and
// errors are shown; and the address that the guard refused, for whoever asked
// is not to map our network.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && errors.Is(op.Err, ErrRefused) {
		return op.Err
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("dial: %w", ue.Err)
	}
	return err
}

// body bounds an answer in size and in silence.
type body struct {
	io.ReadCloser
	left   int64 // bytes that may still come
	idle   time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (b *body) Read(p []byte) (int, error) {
	// One byte more than allowed tells a body that is too large from one that
	// just fits.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	b.timer.Reset(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop() // the time that the caller takes is its own
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, ErrTooLarge
	}
	b.left -= int64(n)
	if err != nil && err != io.EOF && errors.Is(context.Cause(b.ctx), ErrStalled) {
		err = ErrStalled
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
