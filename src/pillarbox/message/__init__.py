"""what is inside the envelope: headers, MIME, DKIM, reports"""
