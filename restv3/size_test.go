package restv3_test

import (
	"strings"
	"testing"

	"github.com/openams/openams/account"
)

// TestSizes: what clients describe their things with has its bounds.
func TestSizes(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Supports = nil })
	long := strings.Repeat("x", 64<<10)
	const transform = `"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AdaptiveStreaming"}}]`
	const job = `"input":{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"a"},"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"a"}]`
	w.want(201, "PUT", "/assets/a", `{"properties":{"description":"`+long+`"}}`)
	w.want(201, "PUT", "/transforms/t", `{"properties":{"description":"`+long+`",`+transform+`}}`)
	w.want(201, "PUT", "/transforms/t/jobs/j", `{"properties":{"description":"`+long+`",`+job+`}}`)
	w.want(201, "PUT", "/accountFilters/f", `{"properties":{}}`)
	const description = "properties.description"
	for _, tt := range []struct{ target, method, path, body string }{
		{description, "PUT", "/assets/b", `{"properties":{"description":"x` + long + `"}}`},
		{description, "PUT", "/assets/a", `{"properties":{"description":"x` + long + `"}}`},
		{description, "PATCH", "/assets/a", `{"properties":{"description":"x` + long + `"}}`},
		{"properties.alternateId", "PATCH", "/assets/a", `{"properties":{"alternateId":"` + long + `"}}`},
		{description, "PUT", "/transforms/u", `{"properties":{"description":"x` + long + `",` + transform + `}}`},
		{description, "PATCH", "/transforms/t", `{"properties":{"description":"x` + long + `"}}`},
		{description, "PUT", "/transforms/t/jobs/k", `{"properties":{"description":"x` + long + `",` + job + `}}`},
		{description, "PATCH", "/transforms/t/jobs/j", `{"properties":{"description":"x` + long + `"}}`},
		{"properties.correlationData", "PUT", "/transforms/t/jobs/k", `{"properties":{"correlationData":{"k":"` + long + `"},` + job + `}}`},
		{description, "PUT", "/streamingEndpoints/e", `{"location":"local","properties":{"scaleUnits":0,"description":"x` + long + `"}}`},
		{description, "PATCH", "/streamingEndpoints/default", `{"location":"local","properties":{"description":"x` + long + `"}}`},
		{"properties.filters", "PUT", "/streamingLocators/l", `{"properties":{"assetName":"a","streamingPolicyName":"Predefined_ClearStreamingOnly","filters":["f"` + strings.Repeat(`,"f"`, 1000) + `]}}`},
		{"properties.track", "PUT", "/assets/a/tracks/x", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"x.vtt","displayName":"` + long + `"}}}`},
		{"", "PATCH", "", `{"identity":{"type":"SystemAssigned","x":"` + long + long + `","userAssignedIdentities":{"/x` + long + long + `":{}}}}`},
	} {
		w.refused(400, "BadRequest", tt.target, "", tt.method, tt.path, tt.body)
	}
}
