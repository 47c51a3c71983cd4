package probe

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const mpdSpace = "urn:mpeg:dash:schema:mpd:2011"

// A rule is what the schema of ISO/IEC 23009-1 says of an element: its children
// in order, those of them that occur once at most, and its attributes, required
// ones with a "!" behind. "*" allows any attribute.
type rule struct {
	kids  string
	once  string
	attrs string
}

const (
	baseKids   = "FramePacking AudioChannelConfiguration ContentProtection OutputProtection EssentialProperty SupplementalProperty InbandEventStream Switching RandomAccess GroupLabel Label ProducerReferenceTime ContentPopularityRate Resync "
	baseAttrs  = "profiles width height sar frameRate audioSamplingRate mimeType segmentProfiles codecs containerProfiles maximumSAPPeriod startWithSAP maxPlayoutRate codingDependency scanType selectionPriority tag "
	templates  = "BaseURL SegmentBase SegmentList SegmentTemplate "
	descriptor = "schemeIdUri! value id"
	multiple   = "timescale presentationTimeOffset eptDelta pdDelta presentationDuration timeShiftBufferDepth indexRange indexRangeExact availabilityTimeOffset availabilityTimeComplete duration startNumber endNumber "
)

// rules are those of the elements that live and on-demand profiles use.
var rules = map[string]rule{
	"MPD": {"ProgramInformation BaseURL Location PatchLocation ServiceDescription InitializationSet InitializationGroup InitializationPresentation ContentProtection Period Metrics EssentialProperty SupplementalProperty UTCTiming LeapSecondInformation",
		"LeapSecondInformation", "id profiles! type availabilityStartTime availabilityEndTime publishTime mediaPresentationDuration minimumUpdatePeriod minBufferTime! timeShiftBufferDepth suggestedPresentationDelay maxSegmentDuration maxSubsegmentDuration schemaLocation"},
	"Period": {"BaseURL SegmentBase SegmentList SegmentTemplate AssetIdentifier EventStream ServiceDescription ContentProtection AdaptationSet Subset SupplementalProperty EmptyAdaptationSet GroupLabel Preselection",
		"SegmentBase SegmentList SegmentTemplate AssetIdentifier", "href actuate id start duration bitstreamSwitching"},
	"AdaptationSet": {baseKids + "Accessibility Role Rating Viewpoint ContentComponent " + templates + "Representation", "OutputProtection SegmentBase SegmentList SegmentTemplate",
		baseAttrs + "href actuate id group lang contentType par minBandwidth maxBandwidth minWidth maxWidth minHeight maxHeight minFrameRate maxFrameRate segmentAlignment subsegmentAlignment subsegmentStartsWithSAP bitstreamSwitching initializationSetRef initializationPrincipal"},
	"Representation": {baseKids + "BaseURL ExtendedBandwidth SubRepresentation SegmentBase SegmentList SegmentTemplate", "OutputProtection SegmentBase SegmentList SegmentTemplate",
		baseAttrs + "id! bandwidth! qualityRanking dependencyId associationId associationType mediaStreamStructureId"},
	"SegmentTemplate":           {"Initialization RepresentationIndex FailoverContent SegmentTimeline BitstreamSwitching", "Initialization RepresentationIndex FailoverContent SegmentTimeline BitstreamSwitching", multiple + "media index initialization bitstreamSwitching"},
	"SegmentTimeline":           {"Pattern S", "", ""},
	"S":                         {"", "", "t n d! r k p pE"},
	"BaseURL":                   {"", "", "serviceLocation byteRange availabilityTimeOffset availabilityTimeComplete timeShiftBufferDepth rangeAccess"},
	"ContentProtection":         {"*", "", "schemeIdUri! value id default_KID robustness refId ref"},
	"Role":                      {"", "", descriptor},
	"Accessibility":             {"", "", descriptor},
	"AudioChannelConfiguration": {"", "", descriptor},
	"EssentialProperty":         {"*", "", descriptor},
	"SupplementalProperty":      {"*", "", descriptor},
	"InbandEventStream":         {"", "", descriptor},
	"UTCTiming":                 {"", "", descriptor},
	"Label":                     {"", "", "id lang"},
	"EventStream":               {"Event", "", "href actuate schemeIdUri! value timescale presentationTimeOffset"},
	"ProducerReferenceTime":     {"UTCTiming", "UTCTiming", "id! inband type applicationScheme wallClockTime! presentationTime!"},
}

// types are the lexical forms of attributes.
var types = map[string]*regexp.Regexp{
	"mediaPresentationDuration minBufferTime minimumUpdatePeriod timeShiftBufferDepth suggestedPresentationDelay maxSegmentDuration start": regexp.MustCompile(`^PT?(\d+Y)?(\d+M)?(\d+D)?(T?(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)$`),
	"bandwidth width height maxWidth maxHeight minWidth minHeight d t n group timescale startNumber presentationTimeOffset startWithSAP":   regexp.MustCompile(`^\d+$`),
	"r":                                   regexp.MustCompile(`^-?\d+$`),
	"frameRate maxFrameRate minFrameRate": regexp.MustCompile(`^[1-9]\d*(/[1-9]\d*)?$`),
	"sar par":                             regexp.MustCompile(`^\d*:\d*$`),
	"lang":                                regexp.MustCompile(`^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$`),
	"default_KID":                         regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`),
	"type":                                regexp.MustCompile(`^(static|dynamic|encoder|captured|application)$`),
	"segmentAlignment subsegmentAlignment bitstreamSwitching": regexp.MustCompile(`^(true|false|0|1)$`),
}

// form finds the lexical form of an attribute, nil if any text will do.
func form(attr string) *regexp.Regexp {
	for names, re := range types {
		if slices.Contains(strings.Fields(names), attr) {
			return re
		}
	}
	return nil
}

// schema holds an element and all below it against the rules.
func (p *prober) schema(url string, n *node) {
	if n.space != mpdSpace {
		return // an extension, which the schema lets stand anywhere behind
	}
	r, known := rules[n.name]
	if !known {
		p.warn(nil, url, "the element <%s> is not known here and was not checked", n.name)
		return
	}
	allowed := strings.Fields(r.attrs)
	for _, a := range n.attrs {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || a.Name.Space != "" && a.Name.Local != "default_KID" {
			continue
		}
		if !slices.Contains(allowed, a.Name.Local) && !slices.Contains(allowed, a.Name.Local+"!") {
			p.fault(nil, url, "<%s> has an attribute %s, which the schema does not know", n.name, a.Name.Local)
		}
		if re := form(a.Name.Local); re != nil && !re.MatchString(a.Value) {
			p.fault(nil, url, "<%s %s> is %q", n.name, a.Name.Local, a.Value)
		}
	}
	for _, a := range allowed {
		if name, must := strings.CutSuffix(a, "!"); must {
			if _, ok := n.lookup(name); !ok {
				p.fault(nil, url, "<%s> has no attribute %s", n.name, name)
			}
		}
	}
	if r.kids != "*" {
		p.order(url, n, strings.Fields(r.kids), strings.Fields(r.once))
	}
	for _, k := range n.kids {
		p.schema(url, k)
	}
}

// order checks that children stand in the order of the schema's sequence.
func (p *prober) order(url string, n *node, sequence, once []string) {
	last, foreign := 0, false
	seen := map[string]int{}
	for _, k := range n.kids {
		if k.space != mpdSpace {
			foreign = true
			continue
		}
		i := slices.Index(sequence, k.name)
		switch {
		case i < 0:
			p.fault(nil, url, "<%s> may not stand in <%s>", k.name, n.name)
			continue
		case i < last:
			p.fault(nil, url, "<%s> stands behind <%s> in <%s>: the order of the schema is another", k.name, sequence[last], n.name)
		case foreign && n.name != "MPD":
			p.fault(nil, url, "<%s> stands behind a foreign element in <%s>", k.name, n.name)
		}
		last = max(last, i)
		if seen[k.name]++; seen[k.name] == 2 && slices.Contains(once, k.name) {
			p.fault(nil, url, "<%s> occurs twice in <%s>", k.name, n.name)
		}
	}
}

var durationForm = regexp.MustCompile(`^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$`)

// duration reads an xs:duration of hours, minutes and seconds.
func duration(s string) (seconds float64, ok bool) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	for i, factor := range []float64{3600, 60, 1} {
		if m[i+1] != "" {
			f, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				return 0, false
			}
			seconds += f * factor
		}
	}
	return seconds, true
}
