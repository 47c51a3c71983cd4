package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrRefused is in the chain of every error about an address, a scheme or a
// redirect that is not allowed.
var ErrRefused = errors.New("not allowed")

// special lists what is neither private, loopback nor link-local by its own
// name and yet no place on the public internet. (IANA's special-purpose
// registries, and the one public address that clouds answer on inside.)
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's host, from within a virtual machine
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),

	netip.MustParsePrefix("2001::/23"), // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4 carries any IPv4 address
	netip.MustParsePrefix("3fff::/20"),
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
)

// public reports whether ip is an address of the public internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	switch {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsLoopback(), ip.IsPrivate(), ip.IsLinkLocalUnicast(),
		ip.IsMulticast(), ip.Is6() && !globalUnicast.Contains(ip):
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// allowedIP reports whether the configuration lets a connection go to ip.
func (c *Client) allowedIP(ip netip.Addr) bool {
	if public(ip) {
		return true
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(c.c.AllowNets, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// allowedHost reports whether host, or host:port, may be any address.
func (c *Client) allowedHost(host, port string) bool {
	host = strings.TrimSuffix(host, ".")
	return slices.ContainsFunc(c.c.AllowHosts, func(h string) bool {
		return strings.EqualFold(h, host) || strings.EqualFold(h, net.JoinHostPort(host, port))
	})
}

// dialContext connects for the transport; addr is the host and port of a URL.
func (c *Client) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: c.c.ConnectTimeout}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if !c.allowedHost(host, port) {
		d.ControlContext = c.control
	}
	return d.DialContext(ctx, network, addr)
}

// control sees each address right before the connection to it.
func (c *Client) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial: address %q is %w", address, ErrRefused)
	}
	if !c.allowedIP(ap.Addr()) {
		return fmt.Errorf("dial: a private or special address is %w", ErrRefused)
	}
	return nil
}
