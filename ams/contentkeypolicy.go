package ams

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A ContentKeyPolicy says who is given the content keys of locators, and in
// which form: the first option whose restriction a request passes serves it.
type ContentKeyPolicy struct {
	Account        string // Account.ID
	Name           string
	Label          string // the v2 Name: free text, may repeat; of a policy that v3 made its Name
	ID             string // guid: v3 policyId; the v2 Id is "nb:ckpid:UUID:" + ID
	Description    string
	Options        []ContentKeyPolicyOption
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// Bounds of a content key policy. AMS documents that of the options; the
// others keep a page of policies small.
const (
	MaxContentKeyPolicyOptions = 30
	maxPolicySize              = 128 << 10 // bytes of all options, and of the body of a streaming policy
	maxPolicyDescription       = 4096      // bytes
)

// A ContentKeyPolicyOption is one way to a key. Configuration (what is
// delivered) and Restriction (to whom) are objects in the v3 spelling, with
// their @odata.type and their secrets.
type ContentKeyPolicyOption struct {
	ID            string          `json:"policyOptionId"` // guid
	Name          string          `json:"name,omitempty"`
	Configuration json.RawMessage `json:"configuration,omitempty"`
	Restriction   json.RawMessage `json:"restriction,omitempty"`
	V2            *V2Option       `json:"-"` // what v2 said, where that is more than the above; nil: nothing
}

// A V2Option is an option as v2 wrote it, to be read back so.
type V2Option struct {
	Configuration string          `json:"configuration,omitempty"` // text of Configuration; empty: to be made from it
	Restrictions  []V2Restriction `json:"restrictions,omitempty"`
}

// A V2Restriction is a part of an option's restriction as v2 wrote it.
type V2Restriction struct {
	Name         string `json:"name,omitempty"`
	Type         int    `json:"type"`                   // KeyRestrictionType
	Requirements string `json:"requirements,omitempty"` // text; empty: to be made from Restriction
}

// The kinds of configuration and restriction: their @odata.type without
// "#Microsoft.Media.ContentKeyPolicy". Unknown ones stand for what an
// api-version can't express; nothing is delivered by them.
const (
	ClearKeyConfiguration  = "ClearKeyConfiguration"
	PlayReadyConfiguration = "PlayReadyConfiguration"
	WidevineConfiguration  = "WidevineConfiguration"
	FairPlayConfiguration  = "FairPlayConfiguration"
	UnknownConfiguration   = "UnknownConfiguration"
	OpenRestriction        = "OpenRestriction"
	TokenRestriction       = "TokenRestriction"
	UnknownRestriction     = "UnknownRestriction"

	// AddressRestriction is v2's alone: who asks from an address of "allow"
	// and meets "restriction" passes. v3 shows it as UnknownRestriction.
	AddressRestriction = "AddressRestriction"
)

// deliveries are the v2 KeyDeliveryTypes.
var deliveries = map[string]int{PlayReadyConfiguration: 1, ClearKeyConfiguration: 2, WidevineConfiguration: 3, FairPlayConfiguration: 4}

// DeliveryType is the v2 KeyDeliveryType of what the option delivers; 0: none.
func (o *ContentKeyPolicyOption) DeliveryType() int { return deliveries[o.Delivers()] }

// Delivers is the kind of the option's configuration.
func (o *ContentKeyPolicyOption) Delivers() string { return kindOf(o.Configuration) }

// Restricts is the kind of the option's restriction.
func (o *ContentKeyPolicyOption) Restricts() string { return kindOf(o.Restriction) }

func kindOf(raw json.RawMessage) string {
	var o struct {
		Type string `json:"@odata.type"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return strings.TrimPrefix(o.Type, "#Microsoft.Media.ContentKeyPolicy")
}

// TokenRules are what the bearer of a token must show for a key: a token
// restriction, read.
type TokenRules struct {
	Issuer     string       `json:"issuer"`
	Audience   string       `json:"audience"`
	Primary    *TokenKey    `json:"primaryVerificationKey"` // nil: the keys of Discovery
	Alternates []TokenKey   `json:"alternateVerificationKeys"`
	Claims     []TokenClaim `json:"requiredClaims"`
	Type       TokenType    `json:"restrictionTokenType"`
	Discovery  string       `json:"openIdConnectDiscoveryDocument"` // URL
}

// A TokenType is the form of tokens.
type TokenType string

// The forms of tokens: JSON web tokens and simple web tokens.
const (
	JWT TokenType = "Jwt"
	SWT TokenType = "Swt"
)

// A TokenKey verifies tokens: a symmetric key, an RSA public key (Modulus and
// Exponent, big endian) or the certificate of one.
type TokenKey struct {
	Type        string `json:"@odata.type"`
	Symmetric   []byte `json:"keyValue"`
	Modulus     []byte `json:"modulus"`
	Exponent    []byte `json:"exponent"`
	Certificate []byte `json:"rawBody"` // DER
}

// The kinds of TokenKey, as their Type names them.
const (
	SymmetricTokenKey   = "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey"
	RSATokenKey         = "#Microsoft.Media.ContentKeyPolicyRsaTokenKey"
	CertificateTokenKey = "#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey"
)

// A TokenClaim is a claim that a token must have. Value nil: any value, or
// for ContentKeyIDClaim the id of the key that is asked for.
type TokenClaim struct {
	Type  string  `json:"claimType"`
	Value *string `json:"claimValue"`
}

// ContentKeyIDClaim is the claim that ties a token to one key (documented).
const ContentKeyIDClaim = "urn:microsoft:azure:mediaservices:contentkeyidentifier"

// Token reads the rules of a token restriction; they are nil for others.
func (o *ContentKeyPolicyOption) Token() (*TokenRules, error) {
	if o.Restricts() != TokenRestriction {
		return nil, nil
	}
	rules := new(TokenRules)
	if err := json.Unmarshal(o.Restriction, rules); err != nil {
		return nil, err
	}
	return rules, nil
}

// AddressRules are an address restriction, read.
type AddressRules struct {
	Allow       []string        `json:"allow"`       // addresses and CIDR ranges
	Restriction json.RawMessage `json:"restriction"` // that must be met too
}

// Option is an option that has the inner restriction of r alone.
func (r *AddressRules) Option() ContentKeyPolicyOption {
	return ContentKeyPolicyOption{Restriction: r.Restriction}
}

// Address reads the rules of an address restriction; they are nil for others.
func (o *ContentKeyPolicyOption) Address() (*AddressRules, error) {
	if o.Restricts() != AddressRestriction {
		return nil, nil
	}
	rules := new(AddressRules)
	if err := json.Unmarshal(o.Restriction, rules); err != nil {
		return nil, err
	}
	return rules, nil
}

// Validate reports the first rule that p breaks. The shape of configurations
// and restrictions is the face's to check.
func (p *ContentKeyPolicy) Validate() error {
	if err := ValidateName("content key policy", p.Name); err != nil {
		return err
	}
	if len(p.Options) > MaxContentKeyPolicyOptions {
		return Invalidf("properties.options", "A content key policy may have at most %d options.", MaxContentKeyPolicyOptions)
	}
	if len(p.Description) > maxPolicyDescription {
		return Invalidf("properties.description", "The description is longer than %d bytes.", maxPolicyDescription)
	}
	size := 0
	for i := range p.Options {
		o, at := &p.Options[i], fmt.Sprintf("properties.options[%d]", i)
		if size += len(o.Name) + len(o.Configuration) + len(o.Restriction); size > maxPolicySize {
			return Invalidf(at, "The options of the content key policy are larger than %d bytes.", maxPolicySize)
		}
		if err := o.Validate(at); err != nil {
			return err
		}
	}
	return nil
}

// Validate reports the first rule that o, which is at a place of a request,
// breaks.
func (o *ContentKeyPolicyOption) Validate(at string) error {
	if len(o.Configuration) == 0 {
		return Invalidf(at+".configuration", "The option has no configuration.")
	}
	if len(o.Restriction) == 0 {
		return Invalidf(at+".restriction", "The option has no restriction.")
	}
	if len(o.Name)+len(o.Configuration)+len(o.Restriction) > maxPolicySize {
		return Invalidf(at, "The option is larger than %d bytes.", maxPolicySize)
	}
	if err := o.validateConfiguration(at + ".configuration"); err != nil {
		return err
	}
	address, err := o.Address()
	if err != nil {
		return Invalidf(at+".restriction", "The restriction can't be read: %v.", err)
	}
	if address != nil {
		inner := address.Option()
		o = &inner
	}
	rules, err := o.Token()
	if err != nil {
		return Invalidf(at+".restriction", "The restriction can't be read: %v.", err)
	}
	if rules == nil {
		return nil
	}
	return rules.validate(at + ".restriction")
}

func (o *ContentKeyPolicyOption) validateConfiguration(at string) error {
	var c struct {
		Template string `json:"widevineTemplate"`
		Licenses []struct {
			Begin    string          `json:"beginDate"`
			Relative string          `json:"relativeBeginDate"`
			End      string          `json:"expirationDate"`
			Lasts    string          `json:"relativeExpirationDate"`
			Location json.RawMessage `json:"contentKeyLocation"`
		} `json:"licenses"`
		Ask         []byte `json:"ask"`
		PFX         string `json:"fairPlayPfx"`
		PFXPassword string `json:"fairPlayPfxPassword"`
	}
	if err := json.Unmarshal(o.Configuration, &c); err != nil {
		return Invalidf(at, "The configuration can't be read: %v.", err)
	}
	switch o.Delivers() {
	case WidevineConfiguration:
		var template map[string]json.RawMessage
		if json.Unmarshal([]byte(c.Template), &template) != nil {
			return Invalidf(at+".widevineTemplate", "The Widevine template is not a JSON object.")
		}
	case FairPlayConfiguration:
		switch {
		case len(c.Ask) != 16:
			return Invalidf(at+".ask", "The application secret key must be 16 bytes in base64.")
		case c.PFX == "":
			return Invalidf(at+".fairPlayPfx", "fairPlayPfx is missing.")
		case c.PFXPassword == "":
			return Invalidf(at+".fairPlayPfxPassword", "fairPlayPfxPassword is missing.")
		}
	case PlayReadyConfiguration:
		if len(c.Licenses) == 0 {
			return Invalidf(at+".licenses", "A PlayReady configuration needs at least one license.")
		}
		for i, l := range c.Licenses {
			at := fmt.Sprintf("%s.licenses[%d]", at, i)
			// The rules of the v2 client's PlayReady licence template.
			switch {
			case l.Begin != "" && l.Relative != "":
				return Invalidf(at+".relativeBeginDate", "A license can't have both beginDate and relativeBeginDate.")
			case l.End != "" && l.Lasts != "":
				return Invalidf(at+".relativeExpirationDate", "A license can't have both expirationDate and relativeExpirationDate.")
			case len(l.Location) == 0:
				return Invalidf(at+".contentKeyLocation", "contentKeyLocation is missing.")
			}
		}
	}
	return nil
}

func (r *TokenRules) validate(at string) error {
	if r.Type != JWT && r.Type != SWT {
		return Invalidf(at+".restrictionTokenType", "restrictionTokenType must be Jwt or Swt.")
	}
	if r.Discovery != "" {
		u, err := url.Parse(r.Discovery)
		if err != nil || u.Host == "" || u.Scheme != "https" {
			return Invalidf(at+".openIdConnectDiscoveryDocument", "The OpenID Connect discovery document must be an https URL.")
		}
		if r.Type != JWT {
			return Invalidf(at+".openIdConnectDiscoveryDocument", "Only Jwt tokens are verified with the keys of an OpenID Connect discovery document.")
		}
	}
	if r.Primary == nil && r.Discovery == "" {
		return Invalidf(at+".primaryVerificationKey", "The restriction has neither a primaryVerificationKey nor an openIdConnectDiscoveryDocument.")
	}
	if r.Primary != nil {
		if err := r.Primary.validate(r.Type, at+".primaryVerificationKey"); err != nil {
			return err
		}
	}
	for i := range r.Alternates {
		if err := r.Alternates[i].validate(r.Type, fmt.Sprintf("%s.alternateVerificationKeys[%d]", at, i)); err != nil {
			return err
		}
	}
	for i, c := range r.Claims {
		if c.Type == "" {
			return Invalidf(fmt.Sprintf("%s.requiredClaims[%d].claimType", at, i), "claimType is missing.")
		}
	}
	return nil
}

func (k *TokenKey) validate(t TokenType, at string) error {
	if t == SWT && k.Type != SymmetricTokenKey {
		return Invalidf(at+".@odata.type", "Swt tokens are verified with symmetric keys only.")
	}
	switch k.Type {
	case SymmetricTokenKey:
		if len(k.Symmetric) == 0 {
			return Invalidf(at+".keyValue", "keyValue is missing.")
		}
	case RSATokenKey:
		e := new(big.Int).SetBytes(k.Exponent)
		switch bits := new(big.Int).SetBytes(k.Modulus).BitLen(); {
		case bits == 0:
			return Invalidf(at+".modulus", "modulus is missing.")
		case bits < 1024 || bits > 16384:
			return Invalidf(at+".modulus", "The modulus has %d bits: 1024 to 16384 are allowed.", bits)
		case !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0:
			return Invalidf(at+".exponent", "The exponent must be an odd number from 3 to 2147483647.")
		}
	case CertificateTokenKey:
		if len(k.Certificate) == 0 {
			return Invalidf(at+".rawBody", "rawBody is missing.")
		}
		if _, err := x509.ParseCertificate(k.Certificate); err != nil {
			return Invalidf(at+".rawBody", "rawBody is not an X.509 certificate in DER.")
		}
	}
	return nil
}

// secretMembers are the members of configurations and restrictions that only
// getPolicyPropertiesWithSecrets returns. AMS counted public keys among them.
var secretMembers = map[string]bool{
	"ask": true, "fairPlayPfx": true, "fairPlayPfxPassword": true,
	"keyValue": true, "rawBody": true, "modulus": true, "exponent": true,
}

// SecretMember reports whether the member of a configuration or restriction
// is a secret.
func SecretMember(name string) bool { return secretMembers[name] }

// Redact takes the secrets out of p. Null in their place would be read by the
// Go client as three bytes.
func (p *ContentKeyPolicy) Redact() {
	for i := range p.Options {
		p.Options[i].Redact()
	}
}

// Redact takes the secrets out of o, and with them the texts of v2 that may
// hold some.
func (o *ContentKeyPolicyOption) Redact() {
	configuration, restriction := edited(o.Configuration, redact), edited(o.Restriction, redact)
	if o.V2 != nil {
		v2 := *o.V2
		if !same(configuration, o.Configuration) {
			v2.Configuration = ""
		}
		if !same(restriction, o.Restriction) {
			v2.Restrictions = forgotten(v2.Restrictions)
		}
		o.V2 = &v2
	}
	o.Configuration, o.Restriction = configuration, restriction
}

// forgotten is list without its texts.
func forgotten(list []V2Restriction) []V2Restriction {
	list = slices.Clone(list)
	for i := range list {
		list[i].Requirements = ""
	}
	return list
}

func redact(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if secretMembers[name] {
				delete(v, name)
			} else {
				redact(member)
			}
		}
	case []any:
		for _, e := range v {
			redact(e)
		}
	}
}

// Keep gives p what old has and v3 does not show, where p leaves it out: clients
// send back what they were shown. An option is the old one that has its ID; a
// secret is that in the same place of an object of the same type. The texts of
// v2 stay where what they say does.
func (p *ContentKeyPolicy) Keep(old *ContentKeyPolicy) {
	for i := range p.Options {
		o := &p.Options[i]
		for _, was := range old.Options {
			if was.ID != o.ID {
				continue
			}
			if o.Restricts() == UnknownRestriction && was.Restricts() == AddressRestriction {
				o.Restriction = was.Restriction
			}
			o.KeepSecrets(&was)
			if was.V2 == nil {
				continue
			}
			o.V2 = new(V2Option)
			if same(o.Configuration, was.Configuration) {
				o.V2.Configuration = was.V2.Configuration
			}
			if same(o.Restriction, was.Restriction) {
				o.V2.Restrictions = was.V2.Restrictions
			}
		}
	}
}

// KeepSecrets gives o the secrets of was where o leaves them out. Texts of v2
// that lack what is kept are forgotten.
func (o *ContentKeyPolicyOption) KeepSecrets(was *ContentKeyPolicyOption) {
	configuration, restriction := edited(o.Configuration, keeper(was.Configuration)), edited(o.Restriction, keeper(was.Restriction))
	if o.V2 != nil {
		v2 := *o.V2
		if !same(configuration, o.Configuration) {
			v2.Configuration = ""
		}
		if !same(restriction, o.Restriction) {
			v2.Restrictions = forgotten(v2.Restrictions)
		}
		o.V2 = &v2
	}
	o.Configuration, o.Restriction = configuration, restriction
}

// same reports whether two texts of JSON say the same.
func same(a, b json.RawMessage) bool { return reflect.DeepEqual(decoded(a), decoded(b)) }

func keeper(old json.RawMessage) func(any) {
	was := decoded(old)
	return func(v any) { keep(v, was) }
}

func keep(v, was any) {
	switch v := v.(type) {
	case map[string]any:
		was, ok := was.(map[string]any)
		if !ok || v["@odata.type"] != was["@odata.type"] {
			return
		}
		for name, old := range was {
			if secretMembers[name] && v[name] == nil {
				v[name] = old
			}
		}
		for name, member := range v {
			keep(member, was[name])
		}
	case []any:
		was, _ := was.([]any)
		for i := 0; i < len(v) && i < len(was); i++ {
			keep(v[i], was[i])
		}
	}
}

// edited is raw after edit changed what it holds.
func edited(raw json.RawMessage, edit func(any)) json.RawMessage {
	v := decoded(raw)
	if v == nil {
		return raw
	}
	edit(v)
	b, err := json.Marshal(v)
	if err != nil {
		return nil // can't be: v came from JSON
	}
	return b
}

func decoded(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // numbers stay as they are written
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}
