package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// certificates finds or makes what the TLS listeners present: the user's own
// pair, or one signed by a CA made once in DIR/tls. caFile is what clients
// must trust.
//
// The CA's key is kept so that the server certificate can be made again when
// it runs out or the host name changes; both files are 0600.
func certificates(c *config) (_ *tls.Config, caFile string, err error) {
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, "", fmt.Errorf("--tls-cert: %w", err)
		}
		return tlsConfig(pair), c.TLSCert, nil
	}
	dir := filepath.Join(c.Data, "tls")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	caFile = filepath.Join(dir, "ca.pem")
	ca, err := loadPair(caFile, filepath.Join(dir, "ca-key.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = makePair(caFile, filepath.Join(dir, "ca-key.pem"), &x509.Certificate{
			Subject:               pkix.Name{CommonName: "openams local CA"},
			NotAfter:              time.Now().AddDate(10, 0, 0),
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}, nil)
	}
	if err != nil {
		return nil, "", err
	}
	certFile, keyFile := filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem")
	pair, err := loadPair(certFile, keyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	names, ips := hostNames(c)
	if err != nil || !covers(pair.Leaf, names, ips) || pair.Leaf.CheckSignatureFrom(ca.Leaf) != nil {
		pair, err = makePair(certFile, keyFile, serverCertificate(c.Host, names, ips), &ca)
		if err != nil {
			return nil, "", err
		}
	}
	config := tlsConfig(pair)
	below := &namesBelow{domain: "." + strings.ToLower(c.Host), ca: &ca, made: map[string]*tls.Certificate{}}
	config.GetCertificate = below.certificate
	return config, caFile, nil
}

// namesBelow makes certificates for names below the server's own, as further
// streaming endpoints have ("vod-openams.localhost"). A wildcard would not do:
// OpenSSL takes none for a name of one label such as localhost.
type namesBelow struct {
	domain string // with a leading dot
	ca     *tls.Certificate

	mu   sync.Mutex
	made map[string]*tls.Certificate
}

// maxNamesBelow bounds the certificates that strangers can make us keep.
const maxNamesBelow = 1000

// certificate gives none for other names, so that the server's own is used.
func (n *namesBelow) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	label, ok := strings.CutSuffix(name, n.domain)
	if !ok || label == "" || len(label) > 63 || strings.ContainsAny(label, ".*") {
		return nil, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if pair := n.made[name]; pair != nil {
		return pair, nil
	}
	if len(n.made) >= maxNamesBelow {
		clear(n.made)
	}
	pair, err := issue(serverCertificate(name, []string{name}, nil), n.ca)
	if err != nil {
		return nil, err
	}
	n.made[name] = &pair
	return &pair, nil
}

func tlsConfig(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// hostNames are the names and addresses that clients of this server may use.
func hostNames(c *config) (names []string, ips []net.IP) {
	names = []string{"localhost"}
	ips = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	add := func(host string) {
		if ip := net.ParseIP(host); ip != nil {
			if !ip.IsUnspecified() && !slices.ContainsFunc(ips, ip.Equal) {
				ips = append(ips, ip)
			}
		} else if host != "" && !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	add(c.Host)
	add(c.Listen)
	if host, err := os.Hostname(); err == nil {
		add(host)
	}
	return names, ips
}

// covers reports whether the certificate is good for the names for another
// month at least.
func covers(leaf *x509.Certificate, names []string, ips []net.IP) bool {
	if leaf == nil || time.Now().AddDate(0, 1, 0).After(leaf.NotAfter) {
		return false
	}
	for _, n := range names {
		if !slices.Contains(leaf.DNSNames, n) {
			return false
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// serverCertificate is what a certificate of the server says; its CN is at
// most 64 bytes (RFC 5280), which DNS names may exceed.
func serverCertificate(name string, names []string, ips []net.IP) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name[:min(len(name), 64)]},
		DNSNames:    names,
		IPAddresses: ips,
		NotAfter:    time.Now().AddDate(2, 0, 0), // clients refuse longer ones
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// issue makes a key and a certificate for it, signed by ca, or by itself when
// ca is nil.
func issue(template *x509.Certificate, ca *tls.Certificate) (pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return pair, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// makePair is issue, kept in two files. The key is written first: a
// certificate without its key would stop the next start.
func makePair(certFile, keyFile string, template *x509.Certificate, ca *tls.Certificate) (tls.Certificate, error) {
	pair, err := issue(template, ca)
	if err != nil {
		return pair, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return pair, err
	}
	// A pair half written by a killed process is made again: remove the
	// certificate, so that the next start finds none.
	if err := os.Remove(certFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pair, err
	}
	err = writePrivate(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	if err != nil {
		return pair, err
	}
	return pair, writePrivate(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
}
