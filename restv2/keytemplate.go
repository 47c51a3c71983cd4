package restv2

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// Options of content key policies are texts in v2 and objects in v3. What is
// here reads the one and writes the other: the XML templates by the schemas that
// the clients of AMS have, without regard to the order of elements; what those
// do not know is kept in the text and means nothing.

// Bounds of the texts of an option.
const (
	maxOptionText   = 100_000 // bytes
	maxAddresses    = 1000
	templateDepth   = 6
	maxRestrictions = 10
	v3Type          = "#Microsoft.Media.ContentKeyPolicy"
	schemaInstance  = "http://www.w3.org/2001/XMLSchema-instance"
	tokenSchema     = "http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/TokenRestrictionTemplate/v1"
	playReadySchema = "http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/PlayReadyTemplate/v1"
)

// The KeyRestrictionTypes.
const (
	openRestriction  = 0
	tokenRestriction = 1
	ipRestriction    = 2
)

type object = map[string]any

// child returns the child of e with a name, nil for none or one that is nil.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			if c.attrs["nil"] == "true" || c.attrs["nil"] == "1" {
				return nil
			}
			return c
		}
	}
	return nil
}

// value is the text of the child with a name; "" for none.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.text)
	}
	return ""
}

func (e *element) list(name, of string) (list []*element) {
	if c := e.child(name); c != nil {
		for _, item := range c.children {
			if item.name == of && item.attrs["nil"] != "true" {
				list = append(list, item)
			}
		}
	}
	return list
}

// readTemplate reads a document with a root of that name.
func readTemplate(what, text, root string) (*element, error) {
	e, err := readXML(text, templateDepth)
	if err != nil {
		return nil, odata.BadRequest("%s is not valid XML: %v.", what, err)
	}
	if e.name != root {
		return nil, odata.BadRequest("%s is a <%s>, not a <%s>.", what, clipText(e.name), root)
	}
	return e, nil
}

func clipText(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

// readRestrictions reads the Restrictions of an option, which all have to be
// met: open, or one token, and addresses.
func readRestrictions(items []any) (restriction json.RawMessage, said []ams.V2Restriction, err error) {
	if len(items) > maxRestrictions {
		return nil, nil, odata.BadRequest("An option may have at most %d restrictions.", maxRestrictions)
	}
	inner := object(nil)
	var allow []string
	limited := false
	for _, item := range items {
		e, _ := item.(odata.Entity)
		var r ams.V2Restriction
		r.Name, _ = e["Name"].(string)
		r.Requirements, _ = e["Requirements"].(string)
		t, _ := e["KeyRestrictionType"].(int64)
		r.Type = int(t)
		if len(r.Name)+len(r.Requirements) > maxOptionText {
			return nil, nil, odata.BadRequest("A restriction is longer than %d bytes.", maxOptionText)
		}
		said = append(said, r)
		switch r.Type {
		case openRestriction:
			if inner == nil {
				inner = object{"@odata.type": v3Type + ams.OpenRestriction}
			}
		case tokenRestriction:
			if inner != nil && inner["@odata.type"] == v3Type+ams.TokenRestriction {
				return nil, nil, odata.BadRequest("An option may have one token restriction. Alternatives are options of their own.")
			}
			if inner, err = readToken(r.Requirements); err != nil {
				return nil, nil, err
			}
		case ipRestriction:
			list, err := readAddresses(r.Requirements)
			if err != nil {
				return nil, nil, err
			}
			if limited {
				return nil, nil, odata.BadRequest("An option may have one IP restriction.")
			}
			allow, limited = list, true
		default:
			return nil, nil, odata.BadRequest("The KeyRestrictionType %d is not 0, 1 or 2.", r.Type)
		}
	}
	if limited {
		if inner == nil {
			inner = object{"@odata.type": v3Type + ams.OpenRestriction}
		}
		inner = object{"@odata.type": v3Type + ams.AddressRestriction, "allow": allow, "restriction": inner}
	}
	if inner == nil { // an option that says not to whom gives nothing to anybody
		inner = object{"@odata.type": v3Type + ams.UnknownRestriction}
	}
	restriction, err = json.Marshal(inner)
	return restriction, said, err
}

// readAddresses reads the Requirements of an IP restriction: addresses and CIDR
// ranges between commas, semicolons or blanks. AMS never documented its form.
func readAddresses(text string) ([]string, error) {
	list := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) })
	if len(list) == 0 || len(list) > maxAddresses {
		return nil, odata.BadRequest("The Requirements of an IP restriction are 1 to %d addresses or CIDR ranges, with commas between them.", maxAddresses)
	}
	for _, s := range list {
		_, err := netip.ParseAddr(s)
		if err != nil {
			_, err = netip.ParsePrefix(s)
		}
		if err != nil {
			return nil, odata.BadRequest("'%s' is neither an IP address nor a CIDR range.", clipText(s))
		}
	}
	return list, nil
}

// readToken reads the Requirements of a token restriction.
func readToken(text string) (object, error) {
	const what = "The Requirements of a token restriction"
	e, err := readTemplate(what, text, "TokenRestrictionTemplate")
	if err != nil {
		return nil, err
	}
	out := object{"@odata.type": v3Type + ams.TokenRestriction, "issuer": e.value("Issuer"), "audience": e.value("Audience")}
	symmetric := true
	if k := e.child("PrimaryVerificationKey"); k != nil {
		key, err := readVerificationKey(k)
		if err != nil {
			return nil, err
		}
		out["primaryVerificationKey"] = key
		symmetric = key["@odata.type"] == ams.SymmetricTokenKey
	}
	alternates := []any{}
	for _, k := range e.list("AlternateVerificationKeys", "TokenVerificationKey") {
		key, err := readVerificationKey(k)
		if err != nil {
			return nil, err
		}
		alternates = append(alternates, key)
	}
	out["alternateVerificationKeys"] = alternates
	claims := []any{}
	for _, c := range e.list("RequiredClaims", "TokenClaim") {
		claim := object{"claimType": c.value("ClaimType")}
		if c.child("ClaimValue") != nil {
			claim["claimValue"] = c.value("ClaimValue")
		}
		claims = append(claims, claim)
	}
	out["requiredClaims"] = claims
	discovery := e.child("OpenIdConnectDiscoveryDocument").value("OpenIdDiscoveryUri")
	if discovery != "" {
		out["openIdConnectDiscoveryDocument"] = discovery
	}
	switch t := e.value("TokenType"); {
	case strings.EqualFold(t, "JWT"), t == "" && (!symmetric || discovery != ""):
		out["restrictionTokenType"] = string(ams.JWT)
	case strings.EqualFold(t, "SWT"), t == "": // what there was before the element
		out["restrictionTokenType"] = string(ams.SWT)
	default:
		return nil, odata.BadRequest("%s have the TokenType '%s', which is neither JWT nor SWT.", what, clipText(t))
	}
	return out, nil
}

func readVerificationKey(e *element) (object, error) {
	kind := e.attrs["type"]
	kind = kind[strings.LastIndexByte(kind, ':')+1:] // a qualified name
	bytesOf := func(name string) ([]byte, error) {
		text := strings.Join(strings.Fields(e.value(name)), "")
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, odata.BadRequest("The %s of a verification key is not base64.", name)
		}
		return b, nil
	}
	member := func(out object, name string, b []byte) object {
		if len(b) > 0 { // a secret that was not shown is kept
			out[name] = base64.StdEncoding.EncodeToString(b)
		}
		return out
	}
	switch {
	case kind == "SymmetricVerificationKey" || kind == "" && e.child("KeyValue") != nil:
		b, err := bytesOf("KeyValue")
		return member(object{"@odata.type": ams.SymmetricTokenKey}, "keyValue", b), err
	case kind == "X509CertTokenVerificationKey":
		b, err := bytesOf("RawBody")
		return member(object{"@odata.type": ams.CertificateTokenKey}, "rawBody", b), err
	case strings.EqualFold(kind, "RsaTokenVerificationKey"):
		out := object{"@odata.type": ams.RSATokenKey}
		b, err := bytesOf("RawBody")
		if err != nil || len(b) == 0 {
			return out, err
		}
		var public struct { // as the .NET client writes it
			N []byte `json:"n"`
			E []byte `json:"e"`
		}
		if json.Unmarshal(b, &public) != nil {
			return nil, odata.BadRequest("The RawBody of an RsaTokenVerificationKey is not JSON with n and e.")
		}
		return member(member(out, "modulus", public.N), "exponent", public.E), nil
	}
	return nil, odata.BadRequest("The verification key is of the unknown type '%s'.", clipText(kind))
}

// restrictionItems spells the Restrictions of an option.
func restrictionItems(o *ams.ContentKeyPolicyOption) []any {
	items := []any{}
	var said []ams.V2Restriction
	if o.V2 != nil {
		said = o.V2.Restrictions
	}
	if said == nil {
		said = inferred(o)
	}
	for _, r := range said {
		requirements := any(r.Requirements)
		if r.Requirements == "" {
			requirements = optional(requirementsText(o, r.Type))
		}
		items = append(items, odata.Entity{"Name": optional(r.Name), "KeyRestrictionType": r.Type, "Requirements": requirements})
	}
	return items
}

// inferred are the restrictions of an option that v3 wrote.
func inferred(o *ams.ContentKeyPolicyOption) []ams.V2Restriction {
	switch o.Restricts() {
	case ams.OpenRestriction:
		return []ams.V2Restriction{{Type: openRestriction}}
	case ams.TokenRestriction:
		return []ams.V2Restriction{{Type: tokenRestriction}}
	case ams.AddressRestriction:
		if address, err := o.Address(); err == nil {
			inner := address.Option()
			return append(inferred(&inner), ams.V2Restriction{Type: ipRestriction})
		}
	}
	return nil
}

func requirementsText(o *ams.ContentKeyPolicyOption, kind int) string {
	address, err := o.Address()
	if err != nil {
		return ""
	}
	if address != nil {
		if kind == ipRestriction {
			return strings.Join(address.Allow, ",")
		}
		inner := address.Option()
		o = &inner
	}
	if kind != tokenRestriction {
		return ""
	}
	rules, err := o.Token()
	if err != nil || rules == nil {
		return ""
	}
	return tokenText(rules)
}

// A template is XML being written.
type template struct{ bytes.Buffer }

func (t *template) text(name, value string) {
	t.WriteString("<" + name + ">")
	_ = xml.EscapeText(&t.Buffer, []byte(value)) // a Buffer takes all
	t.WriteString("</" + name + ">")
}

func (t *template) opt(name, value string) {
	if value != "" {
		t.text(name, value)
	}
}

func (t *template) key(name string, k ams.TokenKey) {
	kind, member, body := "SymmetricVerificationKey", "KeyValue", k.Symmetric
	switch k.Type {
	case ams.CertificateTokenKey:
		kind, member, body = "X509CertTokenVerificationKey", "RawBody", k.Certificate
	case ams.RSATokenKey:
		kind, member, body = "RsaTokenVerificationKey", "RawBody", nil
		if len(k.Modulus) > 0 {
			body, _ = json.Marshal(struct { // of bytes: it cannot fail
				E []byte `json:"e"`
				N []byte `json:"n"`
			}{k.Exponent, k.Modulus})
		}
	}
	fmt.Fprintf(t, `<%s i:type="%s">`, name, kind)
	t.text(member, base64.StdEncoding.EncodeToString(body))
	t.WriteString("</" + name + ">")
}

// tokenText is the TokenRestrictionTemplate of rules.
func tokenText(rules *ams.TokenRules) string {
	t := new(template)
	t.WriteString(`<TokenRestrictionTemplate xmlns:i="` + schemaInstance + `" xmlns="` + tokenSchema + `">`)
	t.WriteString("<AlternateVerificationKeys>")
	for _, k := range rules.Alternates {
		t.key("TokenVerificationKey", k)
	}
	t.WriteString("</AlternateVerificationKeys>")
	t.text("Audience", rules.Audience)
	t.text("Issuer", rules.Issuer)
	if rules.Discovery != "" {
		t.WriteString("<OpenIdConnectDiscoveryDocument>")
		t.text("OpenIdDiscoveryUri", rules.Discovery)
		t.WriteString("</OpenIdConnectDiscoveryDocument>")
	}
	if rules.Primary != nil {
		t.key("PrimaryVerificationKey", *rules.Primary)
	}
	t.WriteString("<RequiredClaims>")
	for _, c := range rules.Claims {
		t.WriteString("<TokenClaim>")
		t.text("ClaimType", c.Type)
		if c.Value == nil {
			t.WriteString(`<ClaimValue i:nil="true" />`)
		} else {
			t.text("ClaimValue", *c.Value)
		}
		t.WriteString("</TokenClaim>")
	}
	t.WriteString("</RequiredClaims>")
	t.text("TokenType", strings.ToUpper(string(rules.Type)))
	t.WriteString("</TokenRestrictionTemplate>")
	return t.String()
}

// readDelivery reads the KeyDeliveryConfiguration of a KeyDeliveryType. secrets
// finds the keys that a FairPlay configuration names.
func readDelivery(kind int, text string, secrets func(ask, password string) ([2][]byte, error)) (json.RawMessage, error) {
	if len(text) > maxOptionText {
		return nil, odata.BadRequest("KeyDeliveryConfiguration is longer than %d bytes.", maxOptionText)
	}
	var out object
	var err error
	switch kind {
	case 0:
		out = object{"@odata.type": v3Type + ams.UnknownConfiguration}
	case 1:
		out, err = readPlayReady(text)
	case 2:
		out = object{"@odata.type": v3Type + ams.ClearKeyConfiguration}
	case 3:
		out = object{"@odata.type": v3Type + ams.WidevineConfiguration, "widevineTemplate": text}
	case 4:
		out, err = readFairPlay(text, secrets)
	default:
		return nil, odata.BadRequest("The KeyDeliveryType %d is not 0, 1, 2, 3 or 4.", kind)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// The members of a PlayReady licence and its play right, by their elements.
var (
	licenceTexts = []struct{ element, member string }{
		{"BeginDate", "beginDate"}, {"ExpirationDate", "expirationDate"}, {"GracePeriod", "gracePeriod"},
		{"RelativeBeginDate", "relativeBeginDate"}, {"RelativeExpirationDate", "relativeExpirationDate"}, {"SecurityLevel", "securityLevel"},
	}
	rightFlags = []struct{ element, member string }{
		{"DigitalVideoOnlyContentRestriction", "digitalVideoOnlyContentRestriction"},
		{"ImageConstraintForAnalogComponentVideoRestriction", "imageConstraintForAnalogComponentVideoRestriction"},
		{"ImageConstraintForAnalogComputerMonitorRestriction", "imageConstraintForAnalogComputerMonitorRestriction"},
	}
	rightLevels = []struct{ element, member string }{
		{"AnalogVideoOpl", "analogVideoOpl"}, {"CompressedDigitalAudioOpl", "compressedDigitalAudioOpl"},
		{"CompressedDigitalVideoOpl", "compressedDigitalVideoOpl"}, {"UncompressedDigitalAudioOpl", "uncompressedDigitalAudioOpl"},
		{"UncompressedDigitalVideoOpl", "uncompressedDigitalVideoOpl"},
	}
	rightData = []struct{ element, member string }{
		{"AgcAndColorStripeRestriction", "agcAndColorStripeRestriction"}, {"ScmsRestriction", "scmsRestriction"},
	}
	// Two enumerations that v3 spells otherwise.
	licenceTypes = map[string]string{"": "NonPersistent", "Nonpersistent": "NonPersistent", "Persistent": "Persistent"}
	contentTypes = map[string]string{"": "Unspecified", "Unspecified": "Unspecified", "UltravioletDownload": "UltraVioletDownload", "UltravioletStreaming": "UltraVioletStreaming"}
	outputs      = map[string]string{"": "NotAllowed", "NotAllowed": "NotAllowed", "Allowed": "Allowed", "AllowedWithVideoConstriction": "AllowedWithVideoConstriction"}
)

func readPlayReady(text string) (object, error) {
	const what = "The KeyDeliveryConfiguration of PlayReady"
	e, err := readTemplate(what, text, "PlayReadyLicenseResponseTemplate")
	if err != nil {
		return nil, err
	}
	out := object{"@odata.type": v3Type + ams.PlayReadyConfiguration}
	if s := e.value("ResponseCustomData"); s != "" {
		out["responseCustomData"] = s
	}
	licences := []any{}
	for _, l := range e.list("LicenseTemplates", "PlayReadyLicenseTemplate") {
		licence, err := readLicence(l)
		if err != nil {
			return nil, odata.BadRequest("%s is not valid: %v.", what, err)
		}
		licences = append(licences, licence)
	}
	out["licenses"] = licences
	return out, nil
}

func readLicence(e *element) (object, error) {
	out := object{}
	var err error
	if out["allowTestDevices"], err = readFlag(e, "AllowTestDevices"); err != nil {
		return nil, err
	}
	for _, m := range licenceTexts {
		if s := e.value(m.element); s != "" {
			out[m.member] = s
		}
	}
	if out["licenseType"], err = readEnum(e, "LicenseType", licenceTypes); err != nil {
		return nil, err
	}
	if out["contentType"], err = readEnum(e, "ContentType", contentTypes); err != nil {
		return nil, err
	}
	key := e.child("ContentKey")
	if key == nil {
		return nil, fmt.Errorf("a PlayReadyLicenseTemplate has no ContentKey")
	}
	switch kind := key.attrs["type"]; kind[strings.LastIndexByte(kind, ':')+1:] {
	case "ContentEncryptionKeyFromHeader":
		out["contentKeyLocation"] = object{"@odata.type": v3Type + "PlayReadyContentEncryptionKeyFromHeader"}
	case "ContentEncryptionKeyFromKeyIdentifier":
		id, err := uuid.Parse(key.value("KeyIdentifier"))
		if err != nil {
			return nil, fmt.Errorf("the KeyIdentifier is not a GUID")
		}
		out["contentKeyLocation"] = object{"@odata.type": v3Type + "PlayReadyContentEncryptionKeyFromKeyIdentifier", "keyId": id.String()}
	default:
		return nil, fmt.Errorf("the ContentKey is of the unknown type '%s'", clipText(kind))
	}
	if right := e.child("PlayRight"); right != nil {
		if out["playRight"], err = readRight(right); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readRight(e *element) (object, error) {
	out := object{}
	var err error
	for _, m := range rightFlags {
		if out[m.member], err = readFlag(e, m.element); err != nil {
			return nil, err
		}
	}
	if out["allowPassingVideoContentToUnknownOutput"], err = readEnum(e, "AllowPassingVideoContentToUnknownOutput", outputs); err != nil {
		return nil, err
	}
	if s := e.value("FirstPlayExpiration"); s != "" {
		out["firstPlayExpiration"] = s
	}
	number := func(e *element, name, member string, out object) error {
		if s := e.value(name); s != "" {
			n, err := strconv.ParseInt(s, 10, 32)
			if err != nil {
				return fmt.Errorf("%s is not a number", name)
			}
			out[member] = n
		}
		return nil
	}
	for _, m := range rightLevels {
		if err := number(e, m.element, m.member, out); err != nil {
			return nil, err
		}
	}
	for _, m := range rightData {
		if err := number(e.child(m.element), "ConfigurationData", m.member, out); err != nil {
			return nil, err
		}
	}
	if x := e.child("ExplicitAnalogTelevisionOutputRestriction"); x != nil {
		restriction := object{"configurationData": int64(0)}
		if restriction["bestEffort"], err = readFlag(x, "BestEffort"); err != nil {
			return nil, err
		}
		if err := number(x, "ConfigurationData", "configurationData", restriction); err != nil {
			return nil, err
		}
		out["explicitAnalogTelevisionOutputRestriction"] = restriction
	}
	return out, nil
}

func readFlag(e *element, name string) (bool, error) {
	switch e.value(name) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", name)
}

func readEnum(e *element, name string, values map[string]string) (string, error) {
	v, ok := values[e.value(name)]
	if !ok {
		return "", fmt.Errorf("%s has the unknown value '%s'", name, clipText(e.value(name)))
	}
	return v, nil
}

// configurationText is the KeyDeliveryConfiguration of an option.
func configurationText(o *ams.ContentKeyPolicyOption) string {
	if o.V2 != nil && o.V2.Configuration != "" {
		return o.V2.Configuration
	}
	var c object
	d := json.NewDecoder(bytes.NewReader(o.Configuration))
	d.UseNumber()
	if d.Decode(&c) != nil {
		return ""
	}
	switch o.Delivers() {
	case ams.WidevineConfiguration:
		s, _ := c["widevineTemplate"].(string)
		return s
	case ams.PlayReadyConfiguration:
		return playReadyText(c)
	case ams.FairPlayConfiguration:
		return fairPlayText(c)
	}
	return ""
}

func playReadyText(c object) string {
	t := new(template)
	t.WriteString(`<PlayReadyLicenseResponseTemplate xmlns:i="` + schemaInstance + `" xmlns="` + playReadySchema + `"><LicenseTemplates>`)
	licences, _ := c["licenses"].([]any)
	for _, item := range licences {
		l, _ := item.(object)
		t.WriteString("<PlayReadyLicenseTemplate>")
		t.text("AllowTestDevices", said(l["allowTestDevices"]))
		t.opt("BeginDate", said(l["beginDate"]))
		location, _ := l["contentKeyLocation"].(object)
		if id := said(location["keyId"]); id != "" {
			t.WriteString(`<ContentKey i:type="ContentEncryptionKeyFromKeyIdentifier">`)
			t.text("KeyIdentifier", id)
			t.WriteString("</ContentKey>")
		} else {
			t.WriteString(`<ContentKey i:type="ContentEncryptionKeyFromHeader" />`)
		}
		t.opt("ContentType", keyOf(contentTypes, said(l["contentType"])))
		for _, m := range licenceTexts[1:3] {
			t.opt(m.element, said(l[m.member]))
		}
		t.opt("LicenseType", keyOf(licenceTypes, said(l["licenseType"])))
		if right, ok := l["playRight"].(object); ok {
			writeRight(t, right)
		}
		for _, m := range licenceTexts[3:] {
			t.opt(m.element, said(l[m.member]))
		}
		t.WriteString("</PlayReadyLicenseTemplate>")
	}
	t.WriteString("</LicenseTemplates>")
	t.opt("ResponseCustomData", said(c["responseCustomData"]))
	t.WriteString("</PlayReadyLicenseResponseTemplate>")
	return t.String()
}

// writeRight writes a PlayRight, its elements in the order of the alphabet as
// the .NET serializer wants them.
func writeRight(t *template, right object) {
	data := func(i int) {
		if s := said(right[rightData[i].member]); s != "" {
			t.WriteString("<" + rightData[i].element + ">")
			t.text("ConfigurationData", s)
			t.WriteString("</" + rightData[i].element + ">")
		}
	}
	t.WriteString("<PlayRight>")
	data(0)
	t.opt("AllowPassingVideoContentToUnknownOutput", said(right["allowPassingVideoContentToUnknownOutput"]))
	for _, m := range rightLevels[:3] {
		t.opt(m.element, said(right[m.member]))
	}
	t.opt(rightFlags[0].element, said(right[rightFlags[0].member]))
	if x, ok := right["explicitAnalogTelevisionOutputRestriction"].(object); ok {
		t.WriteString("<ExplicitAnalogTelevisionOutputRestriction>")
		t.opt("BestEffort", said(x["bestEffort"]))
		t.opt("ConfigurationData", said(x["configurationData"]))
		t.WriteString("</ExplicitAnalogTelevisionOutputRestriction>")
	}
	t.opt("FirstPlayExpiration", said(right["firstPlayExpiration"]))
	for _, m := range rightFlags[1:] {
		t.opt(m.element, said(right[m.member]))
	}
	data(1)
	for _, m := range rightLevels[3:] {
		t.opt(m.element, said(right[m.member]))
	}
	t.WriteString("</PlayRight>")
}

// said is a value of JSON as XML has it; "" for none.
func said(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return ""
}

func keyOf(m map[string]string, value string) string {
	for k, v := range m {
		if v == value && k != "" {
			return k
		}
	}
	return ""
}

// rentals are the RentalAndLeaseKeyTypes, whose numbers are Apple's.
var rentals = map[string]int64{"Undefined": 0, "PersistentUnlimited": 0x3df2d9fb, "PersistentLimited": 0x18f06048}

// A fairPlay is the KeyDeliveryConfiguration of FairPlay.
type fairPlay struct {
	ASkID      string `json:"ASkId"`
	PasswordID string `json:"FairPlayPfxPasswordId"`
	PFX        string `json:"FairPlayPfx"`
	IV         string `json:"ContentEncryptionIV,omitempty"`
	Rental     any    `json:"RentalAndLeaseKeyType,omitempty"`
	Duration   int64  `json:"RentalDuration,omitempty"`
}

func readFairPlay(text string, secrets func(ask, password string) ([2][]byte, error)) (object, error) {
	var c fairPlay
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, odata.BadRequest("The KeyDeliveryConfiguration of FairPlay is not a JSON object with ASkId, FairPlayPfxPasswordId and FairPlayPfx.")
	}
	bare := func(id string) string { // a guid, or the id of a content key
		if g := guid(keyID, id); g != "" {
			return g
		}
		return strings.ToLower(strings.Trim(id, "{}"))
	}
	values, err := secrets(bare(c.ASkID), bare(c.PasswordID))
	if err != nil {
		return nil, err
	}
	out := object{"@odata.type": v3Type + ams.FairPlayConfiguration, "ask": base64.StdEncoding.EncodeToString(values[0]),
		"fairPlayPfx": c.PFX, "fairPlayPfxPassword": string(values[1]), "rentalAndLeaseKeyType": "Undefined", "rentalDuration": c.Duration}
	switch v := c.Rental.(type) {
	case nil:
	case string:
		if _, ok := rentals[v]; !ok {
			return nil, odata.BadRequest("The RentalAndLeaseKeyType '%s' is not known.", clipText(v))
		}
		out["rentalAndLeaseKeyType"] = v
	case float64:
		name := ""
		for n, number := range rentals {
			if float64(number) == v {
				name = n
			}
		}
		if name == "" {
			return nil, odata.BadRequest("The RentalAndLeaseKeyType %v is not known.", v)
		}
		out["rentalAndLeaseKeyType"] = name
	default:
		return nil, odata.BadRequest("The RentalAndLeaseKeyType is neither a number nor a name.")
	}
	return out, nil
}

// fairPlayText spells a configuration that v3 wrote: it has its secrets in
// itself, and names no content keys.
func fairPlayText(c object) string {
	none := uuid.Nil.String()
	out := fairPlay{ASkID: none, PasswordID: none, PFX: said(c["fairPlayPfx"])}
	if n, ok := rentals[said(c["rentalAndLeaseKeyType"])]; ok && n != 0 {
		out.Rental = n
	}
	if n, ok := c["rentalDuration"].(json.Number); ok {
		out.Duration, _ = n.Int64()
	}
	b, err := json.Marshal(out)
	if err != nil {
		return ""
	}
	return string(b)
}
