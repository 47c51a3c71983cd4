package restblob

import (
	"encoding/xml"
	"net/http"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/sas"
)

func publicAccess(h http.Header) (string, error) {
	switch v := h.Get("x-ms-blob-public-access"); v {
	case "", "container", "blob":
		return v, nil
	default:
		return "", bad("InvalidHeaderValue", "The value of the header x-ms-blob-public-access is not one of container, blob.")
	}
}

// createContainer serves Create Container.
func (s *server) createContainer(w http.ResponseWriter, q *request) error {
	m, err := metadata(q.Header)
	if err != nil {
		return err
	}
	access, err := publicAccess(q.Header)
	if err != nil {
		return err
	}
	c, err := s.Store.CreateContainer(q.Context(), q.account, q.container, blob.ContainerOptions{Metadata: m, PublicAccess: access})
	if err != nil {
		return err
	}
	return containerWritten(w, c, http.StatusCreated)
}

func containerWritten(w http.ResponseWriter, c *ams.Container, status int) error {
	setVersion(w.Header(), c.ETag, c.LastModified)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
	return nil
}

// containerProperties serves Get Container Properties and Metadata.
func (s *server) containerProperties(w http.ResponseWriter, q *request) error {
	c, err := s.Store.Container(q.Context(), q.account, q.container)
	if err != nil {
		return err
	}
	h := w.Header()
	setLease(h, &c.Lease, q.now)
	h.Set("x-ms-has-immutability-policy", "false")
	h.Set("x-ms-has-legal-hold", "false")
	h.Set("x-ms-default-encryption-scope", "$account-encryption-key")
	h.Set("x-ms-deny-encryption-scope-override", "false")
	if c.PublicAccess != "" {
		h.Set("x-ms-blob-public-access", c.PublicAccess)
	}
	setMetadata(h, c.Metadata)
	return containerWritten(w, c, http.StatusOK)
}

// setContainerMetadata serves Set Container Metadata.
func (s *server) setContainerMetadata(w http.ResponseWriter, q *request) error {
	m, err := metadata(q.Header)
	if err != nil {
		return err
	}
	return s.changeContainer(w, q, func(c *ams.Container) { c.Metadata = m })
}

func (s *server) changeContainer(w http.ResponseWriter, q *request, change func(*ams.Container)) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	c, err := s.Store.UpdateContainer(q.Context(), q.account, q.container, func(c *ams.Container) error {
		if err := cond.CheckContainer(c, false, q.now); err != nil {
			return err
		}
		change(c)
		return nil
	})
	if err != nil {
		return err
	}
	return containerWritten(w, c, http.StatusOK)
}

// deleteContainer serves Delete Container.
func (s *server) deleteContainer(w http.ResponseWriter, q *request) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteContainer(q.Context(), q.account, q.container, cond); err != nil {
		return err
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// containerACL serves Get Container ACL.
func (s *server) containerACL(w http.ResponseWriter, q *request) error {
	c, err := s.Store.Container(q.Context(), q.account, q.container)
	if err != nil {
		return err
	}
	if c.PublicAccess != "" {
		w.Header().Set("x-ms-blob-public-access", c.PublicAccess)
	}
	setVersion(w.Header(), c.ETag, c.LastModified)
	var b xmlWriter
	b.WriteString(xmlHead + "<SignedIdentifiers>")
	for _, p := range c.Policies {
		b.WriteString("<SignedIdentifier>")
		b.element("Id", p.ID)
		b.WriteString("<AccessPolicy>")
		b.given("Start", p.Start)
		b.given("Expiry", p.Expiry)
		b.given("Permission", p.Permissions)
		b.WriteString("</AccessPolicy></SignedIdentifier>")
	}
	b.WriteString("</SignedIdentifiers>")
	return writeXML(w, http.StatusOK, b.Bytes())
}

// setContainerACL serves Set Container ACL.
func (s *server) setContainerACL(w http.ResponseWriter, q *request) error {
	access, err := publicAccess(q.Header)
	if err != nil {
		return err
	}
	text, err := smallBody(w, q, 64<<10)
	if err != nil {
		return err
	}
	policies, err := parseACL(text)
	if err != nil {
		return err
	}
	return s.changeContainer(w, q, func(c *ams.Container) { c.PublicAccess, c.Policies = access, policies })
}

// parseACL reads <SignedIdentifiers>; no body means none.
func parseACL(text []byte) ([]ams.AccessPolicy, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var doc struct {
		XMLName     xml.Name `xml:"SignedIdentifiers"`
		Identifiers []struct {
			ID     string `xml:"Id"`
			Policy struct {
				Start      string
				Expiry     string
				Permission string
			} `xml:"AccessPolicy"`
		} `xml:"SignedIdentifier"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return nil, invalidXML(err)
	}
	if len(doc.Identifiers) > 5 {
		return nil, bad("InvalidXmlDocument", "A container has at most five stored access policies.")
	}
	var list []ams.AccessPolicy
	seen := make(map[string]bool)
	for _, id := range doc.Identifiers {
		p := ams.AccessPolicy{ID: id.ID, Start: id.Policy.Start, Expiry: id.Policy.Expiry, Permissions: id.Policy.Permission}
		if n := len([]rune(p.ID)); n == 0 || n > 64 || seen[p.ID] {
			return nil, bad("InvalidXmlDocument", "The Id of a stored access policy has 1 to 64 characters and does not repeat.")
		}
		seen[p.ID] = true
		for _, t := range []string{p.Start, p.Expiry} {
			if _, err := sas.ParseTime(t); t != "" && err != nil {
				return nil, bad("InvalidXmlNodeValue", "'%s' is not a time.", t)
			}
		}
		list = append(list, p)
	}
	return list, nil
}
