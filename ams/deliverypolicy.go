package ams

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A DeliveryPolicy says how an asset that it is linked to is streamed by some
// protocols: v2's AssetDeliveryPolicy. The StreamingPolicy of a v2 locator is
// made of those linked to its asset.
type DeliveryPolicy struct {
	Account       string // Account.ID
	ID            string // guid: the v2 Id is "nb:adpid:UUID:" + ID
	Name          string
	Protocols     int // bits of AssetDeliveryProtocol
	Type          DeliveryType
	Configuration string // JSON as the client wrote it; Settings reads it
	Created       time.Time
	LastModified  time.Time
}

// The bits of DeliveryPolicy.Protocols. A client may set all others too.
const (
	DeliverSmooth   = 1
	DeliverDASH     = 2
	DeliverHLS      = 4
	DeliverHDS      = 8 // not streamed by this server
	DeliverDownload = 16
	deliverKnown    = DeliverSmooth | DeliverDASH | DeliverHLS | DeliverHDS | DeliverDownload
	deliverAll      = 65535
)

var deliveryProtocols = []struct {
	bit    int
	member string // of EnabledProtocols
}{{DeliverDASH, "dash"}, {DeliverHLS, "hls"}, {DeliverSmooth, "smoothStreaming"}, {DeliverDownload, "download"}}

// A DeliveryType is what a DeliveryPolicy does.
type DeliveryType int

// The types of delivery policies (documented).
const (
	DeliverBlocked  DeliveryType = 1
	DeliverClear    DeliveryType = 2 // without dynamic encryption
	DeliverEnvelope DeliveryType = 3
	DeliverCENC     DeliveryType = 4
	DeliverCBCS     DeliveryType = 5
)

var deliverySchemes = map[DeliveryType]Scheme{DeliverClear: NoEncryption, DeliverEnvelope: Envelope, DeliverCENC: CENC, DeliverCBCS: CBCS}

// A DeliverySetting is a key of DeliveryPolicy.Configuration.
type DeliverySetting int

// The settings (documented; their numbers read in the clients of AMS).
const (
	EnvelopeKeyURL      DeliverySetting = 1
	EnvelopeBaseKeyURL  DeliverySetting = 2 // the key id is appended as KID=, as to the other bases
	EnvelopeIVBase64    DeliverySetting = 3
	PlayReadyURL        DeliverySetting = 4
	PlayReadyAttributes DeliverySetting = 5
	EnvelopeIV          DeliverySetting = 6
	WidevineURL         DeliverySetting = 7
	WidevineBaseURL     DeliverySetting = 8
	FairPlayURL         DeliverySetting = 9
	FairPlayBaseURL     DeliverySetting = 10
	CBCSIV              DeliverySetting = 11
	UnencryptedTracks   DeliverySetting = 12 // FourCCs
	AllowPersistent     DeliverySetting = 13
)

var settingNames = map[string]DeliverySetting{
	"envelopekeyacquisitionurl": EnvelopeKeyURL, "envelopebasekeyacquisitionurl": EnvelopeBaseKeyURL,
	"envelopeencryptionivasbase64": EnvelopeIVBase64, "playreadylicenseacquisitionurl": PlayReadyURL,
	"playreadycustomattributes": PlayReadyAttributes, "envelopeencryptioniv": EnvelopeIV,
	"widevinelicenseacquisitionurl": WidevineURL, "widevinebaselicenseacquisitionurl": WidevineBaseURL,
	"fairplaylicenseacquisitionurl": FairPlayURL, "fairplaybaselicenseacquisitionurl": FairPlayBaseURL,
	"commonencryptionivforcbcs": CBCSIV, "unencryptedtracksbyfourcc": UnencryptedTracks, "allowpersistentlicense": AllowPersistent,
}

// Bounds of a delivery policy. AMS documents none.
const (
	maxDeliveryName     = 4000 // characters
	maxDeliverySettings = 32 << 10
	maxClearTracks      = 100
)

// Settings reads the configuration. Keys are numbers, which clients write as
// texts too (observed), or names.
func (p *DeliveryPolicy) Settings() (map[DeliverySetting]string, error) {
	const at = "AssetDeliveryConfiguration"
	if len(p.Configuration) > maxDeliverySettings {
		return nil, Invalidf(at, "AssetDeliveryConfiguration is longer than %d bytes.", maxDeliverySettings)
	}
	text := strings.Map(func(r rune) rune { // clients put tabs into texts (observed)
		if r < ' ' {
			return ' '
		}
		return r
	}, p.Configuration)
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	var list []struct{ Key, Value any }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, Invalidf(at, "AssetDeliveryConfiguration is not a JSON list of objects with Key and Value.")
	}
	settings := map[DeliverySetting]string{}
	for _, item := range list {
		key, ok := settingOf(item.Key)
		if !ok {
			return nil, Invalidf(at, "AssetDeliveryConfiguration has an unknown Key: they are 1 to 13.")
		}
		if _, twice := settings[key]; twice {
			return nil, Invalidf(at, "AssetDeliveryConfiguration has the Key %d twice.", key)
		}
		switch v := item.Value.(type) {
		case nil:
			continue
		case string:
			settings[key] = v
		case bool:
			settings[key] = strconv.FormatBool(v)
		default:
			return nil, Invalidf(at, "The Value of the Key %d of AssetDeliveryConfiguration is not a text.", key)
		}
	}
	return settings, nil
}

func settingOf(v any) (DeliverySetting, bool) {
	n := 0
	switch v := v.(type) {
	case float64:
		n = int(v)
		if float64(n) != v {
			return 0, false
		}
	case string:
		if s, ok := settingNames[strings.ToLower(v)]; ok {
			return s, true
		}
		var err error
		if n, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
			return 0, false
		}
	}
	return DeliverySetting(n), n >= int(EnvelopeKeyURL) && n <= int(AllowPersistent)
}

// Validate reports the first rule that p breaks.
func (p *DeliveryPolicy) Validate() error {
	switch {
	case utf8.RuneCountInString(p.Name) > maxDeliveryName:
		return Invalidf("Name", "Name is longer than %d characters.", maxDeliveryName)
	case p.Type < DeliverBlocked || p.Type > DeliverCBCS:
		return Invalidf("AssetDeliveryPolicyType", "AssetDeliveryPolicyType must be 1, 2, 3, 4 or 5.")
	case p.Protocols&deliverKnown == 0 || p.Protocols != deliverAll && p.Protocols&^deliverKnown != 0:
		return Invalidf("AssetDeliveryProtocol", "AssetDeliveryProtocol must be a sum of 1, 2, 4, 8 and 16, or 65535.")
	case p.Type == DeliverCBCS && p.Protocols != deliverAll && p.Protocols&DeliverSmooth != 0:
		return Invalidf("AssetDeliveryProtocol", "Smooth Streaming can't be protected by cbcs.")
	case p.Type >= DeliverEnvelope && p.Protocols&(DeliverSmooth|DeliverDASH|DeliverHLS) == 0:
		return Invalidf("AssetDeliveryProtocol", "Only Smooth Streaming, DASH and HLS can be encrypted.")
	}
	settings, err := p.Settings()
	if err != nil {
		return err
	}
	_, err = p.encryption(settings)
	return err
}

// An EncryptionIV is the vector that the policies set for a scheme; nil: none.
func (p *DeliveryPolicy) iv(settings map[DeliverySetting]string) ([]byte, error) {
	for _, s := range []DeliverySetting{EnvelopeIVBase64, EnvelopeIV, CBCSIV} {
		text := strings.TrimSpace(settings[s])
		if text == "" || (s == CBCSIV) != (p.Type == DeliverCBCS) {
			continue
		}
		for _, read := range []func(string) ([]byte, error){base64.StdEncoding.DecodeString,
			func(s string) ([]byte, error) { return hex.DecodeString(strings.TrimPrefix(strings.ToLower(s), "0x")) }} {
			if iv, err := read(text); err == nil && len(iv) == 16 {
				return iv, nil
			}
		}
		return nil, Invalidf("AssetDeliveryConfiguration", "The Key %d of AssetDeliveryConfiguration must be 16 bytes in base64.", s)
	}
	return nil, nil
}

// KeyLabel is what the streaming policies of delivery policies call the key of a
// scheme.
func KeyLabel(s Scheme) string {
	return map[Scheme]string{Envelope: "envelope", CENC: "cenc", CBCS: "cbcs"}[s]
}

// encryption is the member of StreamingPolicy.Body that does what the policy
// says, without its protocols; nil for a policy that blocks.
func (p *DeliveryPolicy) encryption(settings map[DeliverySetting]string) (map[string]any, error) {
	if p.Type == DeliverBlocked {
		return nil, nil
	}
	if _, err := p.iv(settings); err != nil {
		return nil, err
	}
	out := map[string]any{}
	if p.Type == DeliverClear {
		return out, nil
	}
	out["contentKeys"] = map[string]any{"defaultKey": map[string]any{"label": KeyLabel(deliverySchemes[p.Type])}, "keyToTrackMappings": []any{}}
	place := func(whole, base DeliverySetting) (string, error) {
		for _, s := range []DeliverySetting{whole, base} {
			text := strings.TrimSpace(settings[s])
			if s == 0 || text == "" {
				continue
			}
			u, err := url.Parse(text)
			if err != nil || u.Scheme == "" || u.Host == "" {
				return "", Invalidf("AssetDeliveryConfiguration", "The Key %d of AssetDeliveryConfiguration is not an absolute URL.", s)
			}
			if s == base {
				text = strings.TrimSuffix(text, "?")
				if strings.Contains(text, "?") {
					return text + "&KID={ContentKeyId}", nil
				}
				return text + "?KID={ContentKeyId}", nil
			}
			return text, nil
		}
		return "", nil
	}
	switch p.Type {
	case DeliverEnvelope:
		template, err := place(EnvelopeKeyURL, EnvelopeBaseKeyURL)
		if err != nil {
			return nil, err
		}
		if template != "" {
			out["customKeyAcquisitionUrlTemplate"] = template
		}
	case DeliverCENC:
		drm := map[string]any{}
		ready, err := place(PlayReadyURL, 0)
		if err != nil {
			return nil, err
		}
		vine, err := place(WidevineURL, WidevineBaseURL)
		if err != nil {
			return nil, err
		}
		if ready != "" || vine == "" {
			drm["playReady"] = without(map[string]any{"customLicenseAcquisitionUrlTemplate": ready, "playReadyCustomAttributes": settings[PlayReadyAttributes]})
		}
		if vine != "" || ready == "" {
			drm["widevine"] = without(map[string]any{"customLicenseAcquisitionUrlTemplate": vine})
		}
		out["drm"] = drm
	case DeliverCBCS:
		fair, err := place(FairPlayURL, FairPlayBaseURL)
		if err != nil {
			return nil, err
		}
		persistent := false
		if text := strings.TrimSpace(settings[AllowPersistent]); text != "" {
			if persistent, err = strconv.ParseBool(strings.ToLower(text)); err != nil {
				return nil, Invalidf("AssetDeliveryConfiguration", "The Key 13 of AssetDeliveryConfiguration must be true or false.")
			}
		}
		drm := without(map[string]any{"customLicenseAcquisitionUrlTemplate": fair})
		drm["allowPersistentLicense"] = persistent
		out["drm"] = map[string]any{"fairPlay": drm}
	}
	var tracks []any
	for code := range strings.FieldsFuncSeq(settings[UnencryptedTracks], func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
		tracks = append(tracks, map[string]any{"trackSelections": []any{map[string]any{"property": "FourCC", "operation": "Equal", "value": code}}})
		if len(tracks) > maxClearTracks {
			return nil, Invalidf("AssetDeliveryConfiguration", "The Key 12 of AssetDeliveryConfiguration names more than %d codecs.", maxClearTracks)
		}
	}
	if tracks != nil {
		out["clearTracks"] = tracks
	}
	return out, nil
}

// without is m without its empty texts.
func without(m map[string]any) map[string]any {
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == "" })
	return m
}

// deliveredPolicy begins the names of the streaming policies that Delivered
// makes. Clients of v3 see them and can't make such.
const deliveredPolicy = "AssetDelivery_"

// IsDelivered reports whether a streaming policy was made by Delivered.
func IsDelivered(policy string) bool {
	return len(policy) > len(deliveredPolicy) && strings.EqualFold(policy[:len(deliveredPolicy)], deliveredPolicy)
}

// Delivered is the streaming policy that does what the delivery policies of an
// asset say, and the vectors that they set by scheme. What none of them names is
// blocked (documented). Its name follows from what it does. It is Conflict if
// two of them are about one protocol, or encrypt by one scheme in two ways.
func Delivered(list []*DeliveryPolicy) (*StreamingPolicy, map[Scheme][]byte, error) {
	seen := 0
	members := map[Scheme]map[string]any{}
	enabled := map[Scheme]map[string]bool{}
	ivs := map[Scheme][]byte{}
	said := map[Scheme]string{}
	for _, p := range list {
		if seen&p.Protocols&deliverKnown != 0 {
			return nil, nil, Errorf(Conflict, "Two of the asset's delivery policies are about the same protocol: there may be one for each.")
		}
		seen |= p.Protocols & deliverKnown
		settings, err := p.Settings()
		if err != nil {
			return nil, nil, err
		}
		member, err := p.encryption(settings)
		if err != nil {
			return nil, nil, err
		}
		if member == nil {
			continue
		}
		s := deliverySchemes[p.Type]
		iv, err := p.iv(settings)
		if err != nil {
			return nil, nil, err
		}
		b, err := json.Marshal(member)
		if err != nil {
			return nil, nil, err
		}
		way := fmt.Sprintf("%s %x", b, iv)
		if said[s] != "" && said[s] != way {
			return nil, nil, Errorf(Conflict, "Two of the asset's delivery policies have different configurations for %s: this server takes one.", s)
		}
		said[s], members[s] = way, member
		if iv != nil {
			ivs[s] = iv
		}
		if enabled[s] == nil {
			enabled[s] = map[string]bool{}
		}
		for _, q := range deliveryProtocols {
			if p.Protocols&q.bit != 0 && (s == NoEncryption || q.bit != DeliverDownload) && (s != CBCS || q.bit != DeliverSmooth) {
				enabled[s][q.member] = true
			}
		}
	}
	encryptions := map[Scheme]json.RawMessage{}
	if len(members) == 0 {
		members[NoEncryption] = map[string]any{} // everything is blocked
	}
	for s, member := range members {
		protocols := map[string]bool{}
		for _, q := range deliveryProtocols {
			protocols[q.member] = enabled[s][q.member]
		}
		member["enabledProtocols"] = protocols
		b, err := json.Marshal(member)
		if err != nil {
			return nil, nil, err
		}
		encryptions[s] = b
	}
	p := &StreamingPolicy{Body: PolicyBody(encryptions)}
	p.Name = fmt.Sprintf("%s%x", deliveredPolicy, sha256.Sum256(p.Body))[:len(deliveredPolicy)+32]
	_, err := p.read()
	return p, ivs, err
}

// KeyFor is the first of an asset's keys that encrypts by a scheme; nil for none.
func KeyFor(s Scheme, keys []*Key) *Key {
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Type.Scheme() == s && len(k.Value) == ContentKeySize })
	if i < 0 {
		return nil
	}
	return keys[i]
}
