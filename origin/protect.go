package origin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// Keys finds the content keys of locators. An account.Server does.
type Keys interface {
	LocatorKeys(ctx context.Context, locator string) ([]account.KeyGrant, error)
}

// values of the encryption key for each scheme, where a policy leaves no choice.
var values = map[ams.Scheme]Encryption{ams.Envelope: CBC, ams.CENC: CENC, ams.CBCS: CBCS}

var protections = map[Encryption]protect.Scheme{
	CBC: protect.AES128, CENC: protect.CENC, CBCS: protect.CBCS, PIFF: protect.PIFF,
}

// A guard is how one locator's streams are encrypted under one scheme.
type guard struct {
	id          string // names the keys and all that manifests say of them
	scheme      ams.Scheme
	rules       *ams.Encryption
	keys        []contentKey
	alternative string // the locator's alternative media id
	clearKey    bool   // this server delivers the keys as W3C ClearKey licences
	attributes  string // PlayReady's, well-formed
	delivered   map[protect.KeyID]bool
}

// A contentKey is a key and the tracks it is for.
type contentKey struct {
	*protect.Key
	tracks []ams.KeyTracks // empty: all that no other key is for
}

// guards is the guards of a locator as of a count of changes.
type guards struct {
	of   map[ams.Scheme]*guard
	seen uint64
}

// guard returns how the policy's scheme is applied to the locator's streams.
// The error is EncryptionNotInPolicy where the locator has no keys.
func (h *Handler) guard(ctx context.Context, p *account.Published, scheme ams.Scheme) (*guard, error) {
	g, err := h.guardsOf(ctx, p)
	if err != nil {
		return nil, err
	}
	if g.of[scheme] == nil {
		return nil, errorf(EncryptionNotInPolicy, "the streaming locator has no content key for %s", scheme)
	}
	return g.of[scheme], nil
}

func (h *Handler) guardsOf(ctx context.Context, p *account.Published) (*guards, error) {
	if h.c.Keys == nil {
		return nil, errorf(OutputProtectionMissing, "this endpoint has no content keys")
	}
	if h.c.Changes == nil {
		return h.newGuards(ctx, p, 0)
	}
	for {
		count := h.c.Changes()
		g, err := h.guarded.get(p.Locator.ID, func() (*guards, int64, error) {
			g, err := h.newGuards(context.WithoutCancel(ctx), p, count)
			return g, 1, err
		})
		if err != nil || g.seen >= count {
			return g, err
		}
		h.guarded.drop(p.Locator.ID, func(old *guards) bool { return old == g })
	}
}

func (h *Handler) newGuards(ctx context.Context, p *account.Published, seen uint64) (*guards, error) {
	grants, err := h.c.Keys.LocatorKeys(ctx, p.Locator.ID)
	if err != nil {
		return nil, err
	}
	list := &guards{of: map[ams.Scheme]*guard{}, seen: seen}
	for _, scheme := range ams.Schemes() {
		if scheme == ams.NoEncryption || len(p.Policy.Protocols[scheme]) == 0 {
			continue
		}
		g, err := newGuard(p, scheme, grants)
		if err != nil {
			return nil, err
		}
		if len(g.keys) > 0 {
			list.of[scheme] = g
		}
	}
	return list, nil
}

func newGuard(p *account.Published, scheme ams.Scheme, grants []account.KeyGrant) (*guard, error) {
	rules, err := p.Policy.Encryption(scheme)
	if err != nil {
		return nil, err
	}
	if rules == nil { // a policy that says no more than protocols
		rules = new(ams.Encryption)
		rules.DRM.PlayReady, rules.DRM.Widevine, rules.DRM.FairPlay = new(ams.DRM), new(ams.DRM), new(ams.DRM)
	}
	g := &guard{scheme: scheme, rules: rules, alternative: p.Locator.AlternativeMedia, delivered: map[protect.KeyID]bool{}}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n", scheme, g.alternative, p.Policy.Body)
	for _, grant := range grants {
		k := grant.Key
		if k.Scheme != scheme {
			continue
		}
		id, err := protect.ParseKeyID(k.ID)
		if err != nil || len(k.Value) != ams.ContentKeySize {
			return nil, fmt.Errorf("content key %s of streaming locator %s has no value of %d bytes", k.ID, p.Locator.Name, ams.ContentKeySize)
		}
		var iv *[16]byte
		if len(k.IV) == 16 {
			iv = (*[16]byte)(k.IV)
		}
		g.keys = append(g.keys, contentKey{protect.NewKey(id, [16]byte(k.Value), iv), k.Tracks})
		if grant.Policy != nil {
			g.delivered[id] = true
			for i := range grant.Policy.Options {
				g.clearKey = g.clearKey || grant.Policy.Options[i].Delivers() == ams.ClearKeyConfiguration
			}
		}
		fmt.Fprintf(sum, "%s %x %x %+v\n", k.ID, k.Value, k.IV, k.Tracks)
	}
	fmt.Fprintf(sum, "%t %v", g.clearKey, g.delivered)
	g.id = fmt.Sprintf("%x", sum.Sum(nil)[:16])
	// Keys of some tracks come before the one for all others.
	slices.SortStableFunc(g.keys, func(a, b contentKey) int { return cmp.Compare(min(len(b.tracks), 1), min(len(a.tracks), 1)) })
	if pr := rules.DRM.PlayReady; pr != nil && wellFormed(pr.CustomAttributes) {
		g.attributes = pr.CustomAttributes
	}
	return g, nil
}

// wellFormed reports whether s is the inside of an XML element.
func wellFormed(s string) bool {
	d := xml.NewDecoder(strings.NewReader("<a>" + s + "</a>"))
	depth := 0
	for roots := 0; ; {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF) && roots == 1
		}
		switch token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst:
			return false
		}
	}
}

// key returns the key of a rendition. clear says that the policy wants it
// unencrypted: a rendition with neither must not be served.
func (g *guard) key(r *packager.Rendition) (key *protect.Key, clear bool) {
	text := r.Track.Kind == mp4.Text
	if text && g.scheme != ams.Envelope {
		return nil, true // documented: licences are for audio and video
	}
	if selected(g.rules.ClearTracks, r) {
		return nil, true
	}
	for _, k := range g.keys {
		if len(k.tracks) == 0 || selected(k.tracks, r) {
			return k.Key, false
		}
	}
	if text && len(g.keys) > 0 {
		return g.keys[0].Key, false // policies know no text
	}
	return nil, false
}

// selected reports whether one of the selections meets r.
func selected(list []ams.KeyTracks, r *packager.Rendition) bool {
	return slices.ContainsFunc(list, func(s ams.KeyTracks) bool {
		return len(s.Conditions) > 0 && !slices.ContainsFunc(s.Conditions, func(c ams.TrackCondition) bool { return !meets(c, r) })
	})
}

// fourCCs are the names that Smooth Streaming has for codecs of MP4.
var fourCCs = map[string][]string{
	"h264": {"avc1", "avc3"}, "avc1": {"avc1", "avc3"}, "hevc": {"hvc1", "hev1"}, "hvc1": {"hvc1", "hev1"}, "hev1": {"hvc1", "hev1"},
	"aacl": {"mp4a"}, "aach": {"mp4a"},
}

// meets knows the one property that AMS had. A condition that it does not know
// is not met.
func meets(c ams.TrackCondition, r *packager.Rendition) bool {
	if !strings.EqualFold(c.Property, "FourCC") || !strings.EqualFold(c.Operation, "Equal") {
		return false
	}
	return isFourCC(c.Value, r)
}

func isFourCC(want string, r *packager.Rendition) bool {
	want = strings.ToLower(want)
	return strings.EqualFold(want, r.Media.Codec) || slices.Contains(fourCCs[want], strings.ToLower(r.Media.Codec))
}

// maxToken bounds a token that manifests carry on.
const maxToken = 8 << 10

// tokenMark stands for the token in manifests that are kept: each client has
// its own.
const tokenMark = "openamsTOKENopenams"

// A seal encrypts what one request asks for.
type seal struct {
	*guard
	scheme protect.Scheme
	base   string // URL of key delivery, as the client reaches it
	token  string // that the client sent, escaped; ""
}

// seal returns the seal of a request, nil if its streams are clear.
func (h *Handler) seal(r *http.Request, p *account.Published, q *Request) (*seal, error) {
	if q.Kind == File || q.Encryption == Clear {
		return nil, nil
	}
	g, err := h.guard(r.Context(), p, schemes[q.Encryption])
	if err != nil {
		return nil, err
	}
	s := &seal{guard: g, scheme: protections[q.Encryption], base: strings.TrimSuffix(h.c.KeyDelivery, "/")}
	if q.Kind != Manifest && q.Kind != Playlist {
		return s, nil
	}
	if s.base == "" {
		s.base = middleware.Origin(r) + "/keys"
	}
	token := r.URL.Query().Get("token")
	if len(token) > maxToken {
		return nil, errorf(packager.BadURLSyntax, "the token is longer than %d bytes", maxToken)
	}
	s.token = url.QueryEscape(token)
	return s, nil
}

// protection is the encryption of a presentation. The error is for a rendition
// without a key: never is it served in the clear.
func (s *seal) protection(p *presentation) (*protect.Protection, error) {
	for _, t := range p.Tracks {
		for _, r := range t.Renditions {
			if key, clear := s.key(r); key == nil && !clear {
				return nil, errorf(EncryptionNotInPolicy, "the streaming locator has no content key for track %q (%s)", t.Name, r.Media.Codec)
			}
		}
	}
	return &protect.Protection{
		Scheme:  s.scheme,
		Version: p.version,
		Keys: func(r *packager.Rendition) *protect.Key {
			key, _ := s.key(r)
			return key
		},
		Systems: s.systems(),
	}, nil
}

// systems are the ways to keys that manifests name: those of the policy, at
// this server unless the policy has another place.
func (s *seal) systems() protect.Systems {
	var systems protect.Systems
	at := func(template, path string, token bool) func(protect.KeyID) string {
		return func(id protect.KeyID) string {
			switch {
			case template != "":
				u := ams.ExpandTemplate(template, id.String(), s.alternative)
				// The v2 clients configure this server by its own URL.
				if token && s.token != "" && strings.HasPrefix(u, s.base+"/?") {
					u += "&token=" + tokenMark
				}
				return u
			case s.base == "" || !s.delivered[id]:
				return ""
			}
			u := s.base + strings.ReplaceAll(path, "{kid}", id.String())
			// The token is for this server alone.
			if token && s.token != "" {
				u += "&token=" + tokenMark
			}
			return u
		}
	}
	systems.Key = at(s.rules.KeyURL, "/?kid={kid}", true)
	if d := s.rules.DRM.PlayReady; d != nil {
		systems.PlayReady, systems.PlayReadyAttributes = at(d.URL, "/PlayReady/", false), s.attributes
	}
	if d := s.rules.DRM.Widevine; d != nil {
		systems.Widevine = at(d.URL, "/Widevine/?kid={kid}", false)
	}
	if d := s.rules.DRM.FairPlay; d != nil {
		licence := at(d.URL, "/FairPlay/?kid={kid}", false)
		systems.FairPlay = func(id protect.KeyID) string {
			if _, rest, ok := strings.Cut(licence(id), "://"); ok {
				return "skd://" + rest
			}
			return "skd://" + id.String()
		}
	}
	if c := s.rules.ClearKey; c != nil {
		systems.ClearKey = at(c.URL, "/ClearKey/?kid={kid}", true)
	} else if s.clearKey {
		systems.ClearKey = at("", "/ClearKey/?kid={kid}", true)
	}
	return systems
}

// tag names what of the seal goes into segments or, with the place of key
// delivery, into manifests.
func (s *seal) tag(manifest bool) string {
	if s == nil {
		return ""
	}
	tag := s.id
	if manifest {
		tag += " " + s.base
		if s.token != "" {
			tag += " token"
		}
	}
	return tag
}

// sealed returns f and the options of its manifests under s.
func (s *seal) sealed(p *presentation, f *packager.Format) (*packager.Format, packager.Options, error) {
	if s == nil {
		return f, packager.Options{}, nil
	}
	protection, err := s.protection(p)
	if err != nil {
		return nil, packager.Options{}, err
	}
	f, err = protection.Format(f)
	if err != nil {
		return nil, packager.Options{}, err
	}
	o := packager.Options{Protection: protection}
	if s.token != "" {
		o.PlaylistQuery = "token=" + tokenMark
	}
	return f, o, nil
}
