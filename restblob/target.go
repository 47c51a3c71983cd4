package restblob

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// A target is what an address names.
type target struct {
	account   string
	container string // "": the account
	blob      string // "": the container
	hostStyle bool
	path      string // as sent, still encoded: what SharedKey signs
}

// parseTarget reads the address of r. Names are decoded once; everything
// after the container is the blob's name, slashes and dots and all.
func parseTarget(r *http.Request) (target, error) {
	// RequestURI is the path as sent; URL.EscapedPath may differ in spelling.
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath() // absolute form
	}
	t := target{path: path}
	rest := strings.TrimPrefix(path, "/")
	var err error
	if labels := strings.SplitN(hostName(r), ".", 3); len(labels) == 3 && labels[1] == "blob" {
		t.hostStyle = true
		t.account = strings.TrimSuffix(labels[0], "-secondary")
	} else {
		var first string
		first, rest, _ = strings.Cut(rest, "/")
		if t.account, err = url.PathUnescape(first); err != nil {
			return t, invalidURI()
		}
	}
	if ams.ValidateAccountName(t.account) != nil {
		return t, bad("InvalidUri", "The address names no storage account: it starts with /account/container/blob.")
	}
	container, name, _ := strings.Cut(rest, "/")
	if t.container, err = url.PathUnescape(container); err != nil {
		return t, invalidURI()
	}
	if t.blob, err = url.PathUnescape(name); err != nil {
		return t, invalidURI()
	}
	if t.container == "" {
		if t.blob != "" {
			return t, invalidURI()
		}
		return t, nil
	}
	if err := ams.ValidateContainerName(t.container); err != nil {
		return t, bad("InvalidResourceName", "The specified resource name contains invalid characters. %s", err)
	}
	if t.blob != "" {
		if err := blob.ValidateName(t.blob); err != nil {
			return t, bad("InvalidUri", "%s", err)
		}
	}
	return t, nil
}

func invalidURI() error {
	return bad("InvalidUri", "The requested URI does not represent any resource on the server.")
}

func hostName(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// base is the URL of the account, as the client addresses it.
func (q *request) base() string {
	scheme := "http"
	if q.TLS != nil {
		scheme = "https"
	}
	if q.hostStyle {
		return scheme + "://" + q.Host + "/"
	}
	return scheme + "://" + q.Host + "/" + q.account + "/"
}
