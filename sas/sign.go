package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// MAC is the base64 HMAC-SHA256 of text: how every shared-key scheme of Azure
// storage signs.
func MAC(key []byte, text string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// SameMAC compares two signatures in constant time.
func SameMAC(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Sign is v as a query string with its signature by key. account, container
// and blob (which may be "") name what a service or user delegation SAS opens;
// an account SAS takes the account only.
func (v Values) Sign(key []byte, account, container, blob string) string {
	v.Signature = MAC(key, v.StringToSign(account, container, blob))
	return v.Encode()
}

// Verify reports whether v was signed by key for the resource.
func (v *Values) Verify(key []byte, account, container, blob string) bool {
	return SameMAC(v.Signature, MAC(key, v.StringToSign(account, container, blob)))
}

// StringToSign is the text whose HMAC is v's signature. Versions compare as
// text because they are dates. A directory SAS signs the first DirectoryDepth
// segments of blob: its caller cuts them.
func (v *Values) StringToSign(account, container, blob string) string {
	switch v.Kind() {
	case Account:
		return v.accountText(account)
	case Delegation:
		return v.delegationText(account, container, blob)
	}
	return v.serviceText(account, container, blob)
}

// serviceText follows "Create a service SAS", a section per version.
func (v *Values) serviceText(account, container, blob string) string {
	sv := v.Version
	lines := []string{v.Permissions, v.Start, v.Expiry, v.resourceName(account, container, blob), v.Identifier}
	if sv >= "2015-04-05" {
		lines = append(lines, v.IP, v.Protocol)
	}
	if sv >= "2012-02-12" {
		lines = append(lines, sv)
	}
	if sv >= "2018-11-09" {
		lines = append(lines, v.Resource, v.Snapshot)
	}
	if sv >= "2020-12-06" {
		lines = append(lines, v.Scope)
	}
	if sv >= "2013-08-15" {
		lines = append(lines, v.overrides()...)
	}
	return strings.Join(lines, "\n")
}

// accountText follows "Create an account SAS"; every line ends, the last too.
func (v *Values) accountText(account string) string {
	lines := []string{account, v.Permissions, v.Services, v.ResourceTypes, v.Start, v.Expiry, v.IP, v.Protocol, v.Version}
	if v.Version >= "2020-12-06" {
		lines = append(lines, v.Scope)
	}
	return strings.Join(lines, "\n") + "\n"
}

// delegationText follows "Create a user delegation SAS".
func (v *Values) delegationText(account, container, blob string) string {
	sv := v.Version
	lines := []string{v.Permissions, v.Start, v.Expiry, v.resourceName(account, container, blob),
		v.KeyObject, v.KeyTenant, v.KeyStart, v.KeyExpiry, v.KeyService, v.KeyVersion}
	if sv >= "2020-02-10" {
		lines = append(lines, v.AuthorizedObject, v.UnauthorizedObject, v.Correlation)
	}
	if sv >= "2025-07-05" {
		lines = append(lines, v.DelegatedTenant, v.DelegatedObject)
	}
	lines = append(lines, v.IP, v.Protocol, sv, v.Resource, v.Snapshot)
	if sv >= "2020-12-06" {
		lines = append(lines, v.Scope)
	}
	if sv >= "2026-04-06" {
		lines = append(lines, "", "") // srh and srq name nothing: Check refuses those that do
	}
	return strings.Join(append(lines, v.overrides()...), "\n")
}

func (v *Values) overrides() []string {
	return []string{v.CacheControl, v.Disposition, v.Encoding, v.Language, v.ContentType}
}

// resourceName is the canonicalised resource: decoded, no trailing slash. A
// container's signature opens every blob in it, so it names none.
func (v *Values) resourceName(account, container, blob string) string {
	name := "/" + account + "/" + container
	if v.Version >= "2015-02-21" {
		name = "/blob" + name
	}
	if blob != "" && v.Resource != "c" {
		name += "/" + blob
	}
	return name
}
