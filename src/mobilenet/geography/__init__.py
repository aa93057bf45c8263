"""Outlines on the Earth as a sphere, the land of the world map, and views from above.

Places are degrees, latitude (-90…90, north) before longitude (-180…180, east), except in GeoJSON, which has them the
other way round.
"""
