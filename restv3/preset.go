package restv3

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/openams/openams/ams"
)

// discriminator is how every @odata.type begins.
const discriminator = "#Microsoft.Media."

// typeName is an @odata.type without its prefix. Clients were seen to leave
// out the number sign.
func typeName(odataType string) string {
	return strings.TrimPrefix("#"+strings.TrimPrefix(odataType, "#"), discriminator)
}

// readPreset parts a preset that was checked against its model.
func readPreset(checked json.RawMessage) (ams.Preset, error) {
	if !given(checked) {
		return ams.Preset{}, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(checked, &members); err != nil {
		return ams.Preset{}, err
	}
	var odataType string
	if err := json.Unmarshal(members["@odata.type"], &odataType); err != nil {
		return ams.Preset{}, err
	}
	delete(members, "@odata.type")
	body, err := json.Marshal(members)
	return ams.Preset{Type: typeName(odataType), Body: body}, err
}

// presetBody is a preset as clients of the request's api-version read it.
func presetBody(r *http.Request, p ams.Preset) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"@odata.type":"` + discriminator + p.Type + `"`)
	if rest := bytes.TrimPrefix(p.Body, []byte("{")); len(rest) > 1 {
		b.WriteByte(',')
		b.Write(rest)
	} else {
		b.WriteByte('}')
	}
	return showModel(r, "Preset", b.Bytes())
}
