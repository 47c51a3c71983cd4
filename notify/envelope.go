package notify

import (
	"encoding/json"
	"time"

	"github.com/openams/openams/catalog"
)

// A Schema is a way to write an event down.
type Schema string

// The schemas.
const (
	CloudEvents Schema = "CloudEvents" // 1.0, structured JSON, one event per request
	EventGrid   Schema = "EventGrid"   // an array of one event
)

// maxBody bounds a request; Event Grid took no larger ones (documented).
const maxBody = 1 << 20

type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

type gridEvent struct {
	Topic           string          `json:"topic"`
	Subject         string          `json:"subject"`
	EventType       string          `json:"eventType"`
	EventTime       time.Time       `json:"eventTime"`
	ID              string          `json:"id"`
	Data            json.RawMessage `json:"data"`
	DataVersion     string          `json:"dataVersion"`
	MetadataVersion string          `json:"metadataVersion"`
}

// encode writes e as the body of a request.
func (s Schema) encode(e *catalog.Event) (body []byte, contentType string, err error) {
	if s == EventGrid {
		body, err = json.Marshal([]gridEvent{{
			Topic: e.Source, Subject: e.Subject, EventType: e.Type, EventTime: e.Time, ID: e.ID,
			Data: e.Data, DataVersion: "1.0", MetadataVersion: "1",
		}})
		return body, "application/json; charset=utf-8", err
	}
	body, err = json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Type: e.Type, Source: e.Source, Subject: e.Subject, Time: e.Time,
		DataContentType: "application/json", Data: e.Data,
	})
	return body, "application/cloudevents+json; charset=utf-8", err
}
