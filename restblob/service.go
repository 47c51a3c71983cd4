package restblob

import "net/http"

// accountInfo serves Get Account Information.
func (s *server) accountInfo(w http.ResponseWriter, q *request) error {
	h := w.Header()
	h.Set("x-ms-sku-name", "Standard_LRS")
	h.Set("x-ms-account-kind", "StorageV2")
	h.Set("x-ms-is-hns-enabled", "false")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// serviceProperties serves Get Blob Service Properties: nothing is logged,
// measured or kept after deletion, and no browser is let in.
func (s *server) serviceProperties(w http.ResponseWriter, q *request) error {
	const off = "<Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
	return writeXML(w, http.StatusOK, []byte(xmlHead+"<StorageServiceProperties>"+
		"<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"+
		"<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>"+
		"<HourMetrics>"+off+"</HourMetrics><MinuteMetrics>"+off+"</MinuteMetrics><Cors/>"+
		"<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"+
		"<StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>"))
}
